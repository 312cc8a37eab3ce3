//! Certificates that a test makes: self-signed pairs, and the file of those that its clients trust.

use std::io::Write;
use std::path::Path;

use rcgen::CertifiedKey;

/// Writes `<stem>.crt` and `<stem>.key` into `dir` for these names, and adds the certificate to the file of trusted ones.
pub fn write_pair(dir: &Path, stem: &str, names: &[&str], trusted: &Path) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let mut roots = std::fs::OpenOptions::new().append(true).create(true).open(trusted).expect("the file of trusted certificates");
    roots.write_all(cert.pem().as_bytes()).expect("written");
    // The key first: a look in between finds a pair that does not fit, and keeps what it has.
    std::fs::write(dir.join(format!("{stem}.key")), signing_key.serialize_pem()).expect("written");
    std::fs::write(dir.join(format!("{stem}.crt")), cert.pem()).expect("written");
}
