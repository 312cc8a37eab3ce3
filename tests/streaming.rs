//! Messages pass as they are, piece by piece, both ways, in memory that does not grow with them.

mod live;
mod messages;
mod paced;
mod pressure;
mod programs;
mod rates;
mod ten_gib;
mod volume;
