//! Programs that nobody here wrote: found or installed once, in a folder that later runs use again.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::eventually;

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

/// The folder of the programs that a package from npm brings, with its version (`serve@14.2.7`).
pub fn node(package: &str) -> PathBuf {
    let home = cache().join(format!("node-{}", package.replace(['@', '/'], "-")));
    once(&home, || {
        std::fs::create_dir_all(&home).expect("a folder");
        run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&home).arg(package));
    });
    home.join("node_modules/.bin")
}

/// A program from a Debian package; installed where it is missing and the test may do so.
pub fn debian(program: &str, package: &str) -> PathBuf {
    let find = || ["/usr/bin", "/usr/sbin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(program)).find(|path| path.exists());
    from_debian(find, program, package)
}

/// A library from a Debian package; installed where it is missing and the test may do so.
pub fn debian_library(name: &str, package: &str) -> PathBuf {
    // Debian has a folder for each architecture.
    let folders = || std::fs::read_dir("/usr/lib").expect("a folder of libraries").filter_map(Result::ok);
    from_debian(|| folders().map(|folder| folder.path().join(name)).find(|path| path.exists()), name, package)
}

fn from_debian(find: impl Fn() -> Option<PathBuf>, name: &str, package: &str) -> PathBuf {
    find().unwrap_or_else(|| {
        let _lock = lock(&cache().join("apt.lock"));
        if find().is_none() {
            run(Command::new("apt-get").args(["-qq", "update"]));
            run(Command::new("apt-get").args(["-qq", "install", "--yes", "--no-install-recommends", package]));
        }
        find().unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
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

/// Runs a command to its end; what it prints.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server that runs until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
    child: Child,
}

impl Server {
    /// Starts a server that tells its port in its output, after `http://<address>:`.
    pub async fn start(command: &mut Command) -> Self {
        let said = Arc::new(Mutex::new(Vec::<String>::new()));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for stream in streams {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.lock().expect("not poisoned").push(line);
                }
            });
        }
        let address = eventually("the server tells its port", || async {
            let lines = said.lock().expect("not poisoned").clone();
            lines.iter().find_map(|line| port_in(line))
        })
        .await;
        Self { address: SocketAddr::from(([127, 0, 0, 1], address)), said, child }
    }

    /// A line of its output.
    pub async fn line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        eventually(what, || async { self.said.lock().expect("not poisoned").iter().find(|line| wanted(line)).cloned() }).await
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port_in(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("http://")?;
    let (_, port) = rest.strip_prefix("[::]").unwrap_or(rest).split_once(':')?;
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|port| *port != 0)
}
