//! Programs that nobody here wrote: installed by the test that needs them, once, into a folder beside the build.

use std::fs::{File, create_dir_all, read_to_string, remove_dir_all, write};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::eventually;

/// A Python with these packages, in a virtual environment called `name`.
pub fn python(name: &str, packages: &[&str]) -> PathBuf {
    let folder = installed(&format!("python-{name}"), packages, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        run(Command::new(folder.join("bin/pip")).args(["--quiet", "--disable-pip-version-check", "install"]).args(packages));
    });
    folder.join("bin/python")
}

/// The folder of the commands that these npm packages bring.
pub fn node(name: &str, packages: &[&str]) -> PathBuf {
    let folder = installed(&format!("node-{name}"), packages, |folder| {
        create_dir_all(folder).expect("a folder");
        run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder).args(packages));
    });
    folder.join("node_modules/.bin")
}

/// Runs a command to its end; what it said is told where it fails.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}{wrong}", output.status);
    said.into_owned()
}

/// A folder that `make` has filled for just these packages. Tests that ask at the same time wait for the first.
fn installed(name: &str, packages: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    let peers = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    create_dir_all(&peers).expect("a folder");
    let lock = File::create(peers.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    let (folder, wanted) = (peers.join(name), packages.join("\n"));
    let done = peers.join(format!("{name}.done"));
    if read_to_string(&done).is_ok_and(|has| has == wanted) {
        return folder;
    }
    let _ = remove_dir_all(&folder);
    make(&folder);
    write(done, wanted).expect("a note");
    folder
}

/// A server that runs until it is dropped.
pub struct Server {
    pub address: SocketAddr,
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
        Self { address: SocketAddr::from(([127, 0, 0, 1], address)), child }
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
    let (_, port) = rest.split_once(':')?;
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|port| *port != 0)
}
