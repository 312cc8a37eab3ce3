//! Files that are looked at again and again: which of them changed, and what is served meanwhile.
//!
//! What it promises: a pair is read only when its files changed; what cannot be used is told of once, and not before a
//! second look, so that a file that was just being written is no news.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chains::Chains;
use super::{CertificateError, Pair};
use crate::clock::{Clock, SystemClock};
use crate::model::Host;

/// Pairs that a thread of its own is worth for.
const PAIRS_A_THREAD: usize = 64;

/// Pairs that are looked at each time while nothing in the directory was added, renamed or removed. What is written in place
/// in a larger directory is seen some rounds later; looking at 20,000 files every time would take a tenth of a second.
const PAIRS_A_ROUND: usize = 2_000;

/// File systems count time in steps; what changes within the step that was looked at does not show.
const SETTLED_AFTER: i64 = 1_000;

/// What tells a file from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` where there is no file.
    fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|about| Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

/// Two files, and the last pair in them that could be used.
pub(super) struct Watched {
    cert: PathBuf,
    key: PathBuf,
    /// The name that the file's name says, which the certificate must cover.
    name: Option<String>,
    seen: Option<(Option<Stamp>, Option<Stamp>)>,
    pair: Option<Arc<Pair>>,
    problem: Option<CertificateError>,
    /// What is wrong with the files as they are, told or not.
    fault: Option<Box<str>>,
    chains: Arc<Chains>,
}

impl Watched {
    pub(super) fn new(cert: PathBuf, key: PathBuf, name: Option<String>, chains: Arc<Chains>) -> Self {
        Self { cert, key, name, seen: None, pair: None, problem: None, fault: None, chains }
    }

    /// The pair that is served.
    pub(super) fn pair(&self) -> Option<Arc<Pair>> {
        self.pair.clone()
    }

    /// Reads the pair; it is needed.
    pub(super) fn first_look(&mut self) -> Result<Arc<Pair>, CertificateError> {
        self.look();
        match (&self.pair, self.problem.take()) {
            (Some(pair), None) => Ok(pair.clone()),
            (_, problem) => {
                Err(problem.unwrap_or_else(|| CertificateError::Read { path: self.cert.clone(), reason: "it is gone".to_owned() }))
            }
        }
    }

    /// Reads the pair where its files changed. True where another pair is served from now on.
    pub(super) fn look(&mut self) -> bool {
        // Taken before the content is read: what is written after that is seen by the next look.
        let stamps = Some((Stamp::of(&self.cert), Stamp::of(&self.key)));
        if self.seen == stamps {
            // Bad the last time and the same since: it was not just being written.
            self.complain();
            return false;
        }
        self.seen = stamps;
        match Pair::read(&self.cert, &self.key, &self.chains).and_then(|pair| self.check_name(pair)) {
            Ok(pair) => {
                (self.problem, self.fault) = (None, None);
                let is_news = self.pair.as_ref().is_none_or(|old| !old.is_same_as(&pair));
                if is_news {
                    self.remark_on(&pair);
                    self.pair = Some(Arc::new(pair));
                }
                is_news
            }
            Err(problem) => {
                self.fault = Some(problem.to_string().into());
                self.problem = Some(problem);
                false
            }
        }
    }

    /// Tells, once, of a problem that the last look found.
    pub(super) fn complain(&mut self) {
        if let Some(problem) = self.problem.take() {
            let kept = if self.pair.is_some() { "the certificate before it is still served" } else { "it is left out" };
            tracing::warn!("a certificate cannot be used, {kept}: {problem}");
        }
    }

    fn check_name(&self, pair: Pair) -> Result<Pair, CertificateError> {
        let Some(name) = &self.name else { return Ok(pair) };
        let parsed = Host::parse(name).map(|host| host.to_string()).unwrap_or_else(|_| name.to_lowercase());
        // A file may be called after a wildcard itself, `*.example.com.crt`.
        let covers = pair.covers(&parsed, false) || pair.covers(&parsed, true) || pair.names.iter().any(|known| **known == *parsed);
        if covers { Ok(pair) } else { Err(CertificateError::NotCovered { path: self.cert.clone(), name: name.clone() }) }
    }

    /// What does not keep a pair from being served, but should be known.
    fn remark_on(&self, pair: &Pair) {
        let (cert, now) = (self.cert.display(), SystemClock.now());
        if now > pair.not_after {
            tracing::warn!("the certificate `{cert}` has expired; clients will refuse it until it is replaced");
        } else if now < pair.not_before {
            tracing::warn!("the certificate `{cert}` is not valid yet; clients will refuse it until then");
        }
        let is_open = |about: Metadata| about.mode() & 0o004 != 0;
        if std::fs::metadata(&self.key).is_ok_and(is_open) {
            tracing::warn!("the private key `{0}` can be read by every user of this machine; run `chmod o= {0}`", self.key.display());
        }
    }
}

/// File names, without `.crt`, of pairs that are not what they were.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Gone, and served until then.
    pub gone: Vec<String>,
    /// Served anew.
    pub loaded: Vec<String>,
    /// Of which something else is wrong than before, or nothing any more.
    pub faulty: Vec<String>,
}

/// A directory of `<domain>.crt`/`<domain>.key` pairs.
pub(super) struct Folder {
    path: PathBuf,
    /// By file name without `.crt`, which may be no domain at all.
    pairs: BTreeMap<String, Watched>,
    is_readable: bool,
    /// Of the directory when it was last listed, unless it had just changed.
    listed: Option<Stamp>,
    /// Where the next round begins.
    next: usize,
    chains: Arc<Chains>,
}

impl Folder {
    pub(super) fn new(path: PathBuf, chains: Arc<Chains>) -> Self {
        Self { path, pairs: BTreeMap::new(), is_readable: true, listed: None, next: 0, chains }
    }

    /// Every pair that can be served, with its file name without `.crt`.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &Arc<Pair>)> {
        self.pairs.iter().filter_map(|(stem, watched)| Some((stem.as_str(), watched.pair.as_ref()?)))
    }

    /// What is wrong with the files of this name.
    pub(super) fn fault_of(&self, stem: &str) -> Option<String> {
        self.pairs.get(stem)?.fault.as_deref().map(str::to_owned)
    }

    /// How many pairs have files that cannot be used as they are.
    pub(super) fn faults(&self) -> usize {
        self.pairs.values().filter(|watched| watched.fault.is_some()).count()
    }

    /// Finds the pairs that are there; the names of those that are gone and were served.
    pub(super) fn list(&mut self) -> Result<Vec<String>, CertificateError> {
        let (stamp, now) = (Stamp::of(&self.path), SystemClock.now());
        // Whole before anything is changed: a listing that fails half way takes nothing away.
        let stems = self.stems()?;
        self.listed = stamp.filter(|stamp| stamp.modified.0.saturating_mul(1000) < now.0 - SETTLED_AFTER);
        let mut gone = std::mem::take(&mut self.pairs);
        for stem in stems {
            let watched = gone.remove(&stem).unwrap_or_else(|| self.watch(&stem));
            self.pairs.insert(stem, watched);
        }
        gone.retain(|_, watched| watched.pair.is_some());
        for stem in gone.keys() {
            tracing::info!(domain = %stem, "a certificate was removed and is no longer served");
        }
        Ok(gone.into_keys().collect())
    }

    /// Looks at the directory and its pairs again.
    pub(super) fn refresh(&mut self) -> Changes {
        let stamp = Stamp::of(&self.path);
        if stamp.is_some() && stamp == self.listed {
            if self.next >= self.pairs.len() {
                self.next = 0;
            }
            let from = self.next;
            self.next += PAIRS_A_ROUND;
            return self.look_at(from, PAIRS_A_ROUND);
        }
        let gone = self.relist();
        Changes { gone, ..self.look() }
    }

    /// As [`list`](Self::list); where that fails, what was there stays, and it is told of once.
    fn relist(&mut self) -> Vec<String> {
        let listed = self.list();
        let was_readable = std::mem::replace(&mut self.is_readable, listed.is_ok());
        listed.unwrap_or_else(|error| {
            if was_readable {
                tracing::warn!("the certificates that were there are still served: {error}");
            }
            Vec::new()
        })
    }

    /// Looks at every pair.
    pub(super) fn look(&mut self) -> Changes {
        self.look_at(0, usize::MAX)
    }

    fn look_at(&mut self, from: usize, count: usize) -> Changes {
        let mut all: Vec<(&String, &mut Watched)> = self.pairs.iter_mut().skip(from).take(count).collect();
        let look = |part: &mut [(&String, &mut Watched)]| -> Changes {
            let mut changes = Changes::default();
            for (stem, watched) in part {
                let fault = watched.fault.clone();
                if watched.look() {
                    changes.loaded.push((*stem).clone());
                } else if watched.fault != fault {
                    changes.faulty.push((*stem).clone());
                }
            }
            changes
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(all.len() / PAIRS_A_THREAD);
        if threads < 2 {
            return look(&mut all);
        }
        let share = all.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let running: Vec<_> = all.chunks_mut(share).map(|part| scope.spawn(|| look(part))).collect();
            // A thread that panicked may have changed something before: it counts as a change.
            let unknown = || Changes { loaded: vec!["?".to_owned()], ..Changes::default() };
            let parts = running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| unknown()));
            parts.fold(Changes::default(), |mut all, part| {
                all.loaded.extend(part.loaded);
                all.faulty.extend(part.faulty);
                all
            })
        })
    }

    /// Tells, once each, of what could not be used.
    pub(super) fn complain(&mut self) {
        self.pairs.values_mut().for_each(Watched::complain);
    }

    fn stems(&self) -> Result<Vec<String>, CertificateError> {
        let failed = |error: std::io::Error| CertificateError::Folder { path: self.path.clone(), reason: error.to_string() };
        let mut stems = Vec::with_capacity(self.pairs.len());
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            // A name that is not UTF-8 is no domain either.
            stems.extend(file.to_str().and_then(|name| name.strip_suffix(".crt")).map(str::to_owned));
        }
        Ok(stems)
    }

    fn watch(&self, stem: &str) -> Watched {
        let file = |end: &str| self.path.join(format!("{stem}.{end}"));
        Watched::new(file("crt"), file("key"), Some(stem.to_owned()), Arc::clone(&self.chains))
    }
}
