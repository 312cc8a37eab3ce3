//! The binary: arguments become a verb, errors become a line on stderr and an exit code.

use std::io::Write;
use std::process::ExitCode;

use gatehouse::cli::{Cli, exit_code};

// A third less memory than others with many connections, and it is given back after they close.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::of_process().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr().lock(), "{error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}
