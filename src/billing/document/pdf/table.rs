//! Tables: how wide their columns are, in the largest size in which everything has room.

use super::faces::{Faces, Weight};
use super::flow::{Cell, Flow, Strip};
use super::page::{Ink, Style};
use super::wrap::{set, wrap};
use crate::billing::document::sheet::{Row, Table};

const GAP: f32 = 14.0;
/// Sizes to try, and how much room the first column must have then.
const SIZES: [(f32, f32); 4] = [(9.0, 130.0), (8.0, 110.0), (7.0, 100.0), (6.0, 80.0)];

/// Where columns are, and in which size.
struct Grid {
    size: f32,
    /// From the left margin, and how wide.
    columns: Vec<(f32, f32)>,
}

/// Puts a table below its title, with its head repeated on each page. Title, head and first row are not parted.
pub fn put(flow: &mut Flow<'_>, title: Strip, table: &Table, faces: &Faces) {
    let grid = grid(table, faces, flow.width());
    let head = head(table, &grid, faces);
    let mut rows = table.rows.iter().map(|row| strip(row, table, &grid, faces)).peekable();
    let first: Vec<&Strip> = [&title, &head].into_iter().chain(rows.peek()).collect();
    flow.make_room(&first);
    flow.put(title);
    flow.begin_table(head);
    for row in rows {
        flow.put(row);
    }
    flow.end_table();
}

fn grid(table: &Table, faces: &Faces, width: f32) -> Grid {
    let others = table.columns.iter().enumerate().skip(1);
    // In thousandths of the size.
    let natural = others.map(|(place, column)| {
        let cells = table.rows.iter().filter_map(|row| row.cells.get(place));
        let cells = cells.map(|cell| faces.of(Weight::Regular).width(&set(cell), 1.0));
        cells.fold(faces.of(Weight::Bold).width(&set(&column.head), 1.0), f32::max)
    });
    let natural: Vec<f32> = natural.collect();
    let sum: f32 = natural.iter().sum();
    let gaps = GAP * natural.len() as f32;
    let (size, least) = SIZES.into_iter().find(|(size, least)| width - gaps - sum * size >= *least).unwrap_or(SIZES[SIZES.len() - 1]);
    // Where even the smallest size is too wide, all of them share what there is and their cells are wrapped.
    let share = ((width - gaps - least) / (sum * size)).min(1.0);
    let widths: Vec<f32> = natural.iter().map(|wide| wide * size * share + 0.01).collect();
    let first = width - gaps - widths.iter().sum::<f32>();
    let mut columns = vec![(0.0, first)];
    let mut x = first;
    for wide in widths {
        columns.push((x + GAP, wide));
        x += GAP + wide;
    }
    Grid { size, columns }
}

fn head(table: &Table, grid: &Grid, faces: &Faces) -> Strip {
    let style = Style { weight: Weight::Bold, size: grid.size, ink: Ink::Grey };
    let cells = table.columns.iter().zip(&grid.columns).map(|(column, place)| cell(&column.head, column.is_number, *place, style, faces));
    Strip { cells: cells.collect(), above: 0.0, below: 4.0, rule: Some((0.0, Ink::Grey)) }
}

fn strip(row: &Row, table: &Table, grid: &Grid, faces: &Faces) -> Strip {
    let style = Style { weight: Weight::Regular, size: grid.size, ink: Ink::Black };
    let small = Style { weight: Weight::Regular, size: grid.size - 1.0, ink: Ink::Grey };
    let columns = table.columns.iter().zip(&grid.columns);
    let mut cells: Vec<Cell> =
        row.cells.iter().zip(columns).map(|(text, (column, place))| cell(text, column.is_number, *place, style, faces)).collect();
    if let (Some(first), Some(detail)) = (cells.first_mut(), &row.detail) {
        let lines = wrap(detail, faces.of(small.weight), small.size, first.width);
        first.lines.extend(lines.into_iter().map(|line| (line, small)));
    }
    for cell in &mut cells {
        // The row begins a little below the line above it.
        cell.lines.retain(|(text, _)| !text.is_empty());
    }
    Strip { cells, above: 4.0, below: 4.0, rule: Some((0.0, Ink::Pale)) }
}

fn cell(text: &str, is_number: bool, (x, width): (f32, f32), style: Style, faces: &Faces) -> Cell {
    let lines = wrap(text, faces.of(style.weight), style.size, width).into_iter().map(|line| (line, style)).collect();
    if is_number { Cell::right(x, width, lines) } else { Cell::left(x, width, lines) }
}
