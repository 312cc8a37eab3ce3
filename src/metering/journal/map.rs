//! The mapping of a segment: the one file with `unsafe` in it. It hands out shared references to cells, which are atomics.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, fallocate};

use super::cell::{CELL_SIZE, Cell};
use super::error::JournalError;
use super::format::{HEADER_SIZE, Header};
use super::record::Record;
use super::recovery::make_whole;

/// A mapped segment, writable, shared with the file.
pub(super) struct Mapping {
    map: MmapRaw,
    cells: usize,
    /// Keeps other processes out of the directory while anyone can still write here.
    _lock: Arc<File>,
}

impl Mapping {
    /// Makes a file of the journal: its blocks allocated, its header durable, its pages in memory.
    pub(super) fn create(dir: &Path, header: Header, lock: &Arc<File>) -> Result<(PathBuf, Self), JournalError> {
        let name = header.file_name();
        let path = dir.join(&name);
        let file = make_whole(dir, &name, |file| {
            fallocate(&*file, FallocateFlags::empty(), 0, header.file_size())?;
            file.write_all(&header.encode())
        })?;
        match Self::new(&file, header.capacity as usize, Arc::clone(lock)) {
            Ok(mapping) => Ok((path, mapping)),
            Err(cause) => {
                // Nothing is in it yet. Should this fail too, the next start finds it empty.
                let _ = fs::remove_file(&path);
                Err(JournalError::io("map", &path)(cause))
            }
        }
    }

    /// Maps a header and `cells` cells of `file`, which must be that long and never be truncated, and makes their pages
    /// writable at once, so that no later add waits for one.
    pub(super) fn new(file: &File, cells: usize, lock: Arc<File>) -> io::Result<Self> {
        let length = cells.checked_mul(CELL_SIZE).and_then(|octets| octets.checked_add(HEADER_SIZE));
        let length = length.ok_or(io::ErrorKind::InvalidInput)?;
        if file.metadata()?.len() < length as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mapping = Self { map: MmapOptions::new().len(length).map_raw(file)?, cells, _lock: lock };
        mapping.populate()?;
        Ok(mapping)
    }

    fn populate(&self) -> io::Result<()> {
        match self.map.advise(Advice::PopulateWrite) {
            // Linux before 5.14 does not know the advice: write to each page instead.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                for cell in self.cells().iter().step_by(4096 / CELL_SIZE) {
                    cell.admitted.fetch_add(0, Relaxed);
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Brings the first `cells` cells to the disk.
    pub(super) fn sync(&self, cells: usize) -> io::Result<()> {
        self.map.flush_range(0, HEADER_SIZE + cells.min(self.cells) * CELL_SIZE)
    }

    /// All cells, of a file of slots.
    pub(super) fn cells(&self) -> &[Cell] {
        // SAFETY: the mapping is `HEADER_SIZE + cells × CELL_SIZE` long (see `new`) and lives as long as `self`. It begins
        // at a page, so a cell at a multiple of 128 behind the header (4096) is aligned. A `Cell` is made of atomics: every
        // byte pattern is one, and writes through other references or other mappings of the file are no data race.
        unsafe { slice::from_raw_parts(self.map.as_mut_ptr().add(HEADER_SIZE).cast::<Cell>(), self.cells) }
    }

    /// All cells, of a file of reports.
    pub(super) fn records(&self) -> &[Record] {
        // SAFETY: as for `cells`: a `Record` has the same size and alignment, and is made of atomics as well.
        unsafe { slice::from_raw_parts(self.map.as_mut_ptr().add(HEADER_SIZE).cast::<Record>(), self.cells) }
    }
}

/// One cell and the mapping it lies in.
pub(super) struct CellRef {
    cell: NonNull<Cell>,
    _mapping: Arc<Mapping>,
}

impl CellRef {
    /// The cell at `index`.
    pub(super) fn new(mapping: &Arc<Mapping>, index: usize) -> Option<Self> {
        let cell = NonNull::from(mapping.cells().get(index)?);
        Some(Self { cell, _mapping: Arc::clone(mapping) })
    }
}

impl Deref for CellRef {
    type Target = Cell;

    fn deref(&self) -> &Cell {
        // SAFETY: made from a reference into the mapping that `_mapping` keeps alive at the same address.
        unsafe { self.cell.as_ref() }
    }
}

// SAFETY: it is a shared reference to a `Cell` (which is `Sync`) together with what owns it (which is `Send` and `Sync`).
unsafe impl Send for CellRef {}
// SAFETY: as above.
unsafe impl Sync for CellRef {}
