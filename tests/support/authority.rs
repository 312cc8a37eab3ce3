//! A certificate authority of a test, made and run with the openssl command.

use std::path::PathBuf;
use std::process::Command;

use super::peers;

/// Its folder has `ca.crt`, and `<name>.crt` and `<name>.key` for each certificate that it has issued.
pub struct Authority {
    dir: tempfile::TempDir,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    Now,
    LongAgo,
}

const CONFIG: &str = "[ca]\ndefault_ca = default\n[default]\ndatabase = index.txt\nnew_certs_dir = .\ndefault_md = sha256\n\
                      policy = policy\nunique_subject = no\nrand_serial = yes\n[policy]\ncommonName = supplied\n";

impl Authority {
    pub fn new() -> Self {
        let authority = Self { dir: tempfile::tempdir().expect("a folder") };
        std::fs::write(authority.path("ca.cnf"), CONFIG).expect("written");
        std::fs::write(authority.path("index.txt"), "").expect("written");
        let root = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 30 -subj";
        let uses = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        // Each has a name of its own: of two with the same, one's certificates would be the other's with a bad signature.
        let name = format!("/CN=Authority of {}", authority.dir.path().file_name().expect("a folder").display());
        authority.openssl(&[&words(root)[..], &[&name], &uses].concat());
        authority
    }

    /// Issues a certificate with this common name for `names`, such as `DNS:localhost`; it serves servers and clients.
    pub fn issue(&self, name: &str, names: &str, valid: Valid) {
        let (key, request, cert) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        let subject = format!("/CN={name}");
        let ask = words("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout");
        self.openssl(&[&ask[..], &[&key, "-out", &request, "-subj", &subject]].concat());
        std::fs::write(self.path("more.cnf"), format!("subjectAltName = {names}\nbasicConstraints = CA:FALSE\n")).expect("written");
        let sign = words("ca -batch -notext -config ca.cnf -cert ca.crt -keyfile ca.key -extfile more.cnf -in");
        let when = match valid {
            Valid::Now => words("-days 30"),
            Valid::LongAgo => words("-startdate 20200101000000Z -enddate 20200201000000Z"),
        };
        self.openssl(&[&sign[..], &[&request, "-out", &cert], &when].concat());
    }

    /// One of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// The same as text.
    pub fn file(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    /// Puts one certificate and its key in the place of another's.
    pub fn replace(&self, old: &str, new: &str) {
        for kind in ["key", "crt"] {
            std::fs::copy(self.path(&format!("{new}.{kind}")), self.path(&format!("{old}.{kind}"))).expect("copied");
        }
    }

    fn openssl(&self, arguments: &[&str]) {
        peers::run(Command::new(peers::debian("openssl", "openssl")).args(arguments).current_dir(self.dir.path()));
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}
