//! NGINX as an app: a folder of files, served with ranges, validators and gzip, or whatever a test configures.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{eventually, peers};

/// A process that ends with its test.
pub struct Program(Child);

impl Program {
    /// Starts it, whatever becomes of it.
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server and waits until something listens.
pub async fn serve(command: &mut Command, address: SocketAddr) -> Program {
    let program = Program::start(command);
    eventually("the server listens", || async { tokio::net::TcpStream::connect(address).await.ok() }).await;
    program
}

/// A port that was free a moment ago, for servers that cannot be asked for the one they took.
pub fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address")
}

/// NGINX with `digits.txt`, 10,000 digits, in what it serves: the folder `www`.
pub async fn nginx(dir: &Path) -> (Program, SocketAddr) {
    let address = free();
    let root = dir.join("www");
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::write(root.join("digits.txt"), "0123456789".repeat(1000)).expect("a file");
    let files = format!("gzip on; gzip_types text/plain; gzip_proxied any; server {{ listen {address}; root {}; }}", root.display());
    (nginx_with(dir, address, &files).await, address)
}

/// NGINX with this configuration of its HTTP, which listens on `address`.
pub async fn nginx_with(dir: &Path, address: SocketAddr, http: &str) -> Program {
    let place = dir.display();
    let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {place}/{name};")).join(" ");
    let config = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log; events {{ worker_connections 64; }}\n\
         http {{ access_log off; default_type text/plain; {temps}\n{http} }}"
    );
    std::fs::write(dir.join("nginx.conf"), config).expect("a file");
    let mut command = Command::new(peers::debian("nginx", "nginx-light"));
    command.arg("-e").arg(dir.join("error.log")).arg("-c").arg(dir.join("nginx.conf"));
    serve(&mut command, address).await
}
