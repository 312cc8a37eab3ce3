//! Programs that nobody here wrote: found or installed once, in a folder that later runs use again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of a virtual environment with these packages from PyPI, each with its version (`websockets==15.0.1`).
pub fn python(packages: &[&str]) -> PathBuf {
    let name = packages.join("+").replace("==", "-");
    let home = cache().join(format!("python-{}", if name.is_empty() { "bare" } else { &name }));
    once(&home, || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
        if !packages.is_empty() {
            run(Command::new(home.join("bin/pip")).args(["install", "--quiet", "--no-input"]).args(packages));
        }
    });
    home.join("bin/python")
}

/// A program from a Debian package; installed where it is missing and the test may do so.
pub fn debian(program: &str, package: &str) -> PathBuf {
    let find = || ["/usr/bin", "/usr/sbin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(program)).find(|path| path.exists());
    find().unwrap_or_else(|| {
        let _lock = lock(&cache().join("apt.lock"));
        if find().is_none() {
            run(Command::new("apt-get").args(["-qq", "update"]));
            run(Command::new("apt-get").args(["-qq", "install", "--yes", "--no-install-recommends", package]));
        }
        find().unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
    })
}

/// Lets `make` fill a folder, unless that was done before; tests that ask at the same time wait.
fn once(home: &Path, make: impl FnOnce()) {
    let _lock = lock(&home.with_extension("lock"));
    let done = home.join("complete");
    if !done.exists() {
        make();
        File::create(done).expect("a mark");
    }
}

/// Held until it is dropped, also between processes.
fn lock(path: &Path) -> File {
    let file = File::create(path).expect("a lock file");
    file.lock().expect("a lock");
    file
}

fn cache() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
