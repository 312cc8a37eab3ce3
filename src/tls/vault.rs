//! The vault: private keys are sealed before they are stored (AES-256-GCM), each for its own name, so that neither a copy of
//! the store nor a record put under another name gives one away.
//!
//! The key is in the environment, or in a file that only its owner can read. Without it the sealed keys are lost: they are made
//! anew by ordering certificates again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use secrecy::{ExposeSecret, SecretString};

use crate::model::hex;

const KEY_LEN: usize = 32;
const KNOWN: &str = "gatehouse";

/// Seals and opens.
pub struct Vault(RandomizedNonceKey);

/// Why there is no vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file cannot be read or made.
    #[error("the key that seals private keys, `{}`, cannot be used: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("`{path}` seals private keys and can be read by others; run `chmod 600 {path}`, or make a new one", path = .0.display())]
    Open(PathBuf),
    /// The file is gone.
    #[error("`{}` is missing, and the private keys in the store were sealed with the key in it; bring it back, or give the key as store.key (GATEHOUSE_STORE__KEY)", .0.display())]
    Missing(PathBuf),
    /// The file holds something else.
    #[error("`{}` does not hold a key: 64 hexadecimal digits", .0.display())]
    NoKey(PathBuf),
}

/// What was sealed cannot be opened: with another key, for another name, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is sealed cannot be opened with this key (store.key or store.key_file)")]
pub struct WrongKey;

impl Vault {
    /// With the key itself, else with that of the file. Where that is missing it is made, if nothing `is_sealed` yet.
    pub fn open_with(key: Option<&SecretString>, file: &Path, is_sealed: bool) -> Result<Self, VaultError> {
        let text = match key {
            Some(key) => key.expose_secret().to_owned(),
            None if is_sealed && !file.exists() => return Err(VaultError::Missing(file.to_owned())),
            None => read_or_make(file)?,
        };
        Self::of(text.trim()).ok_or_else(|| VaultError::NoKey(file.to_owned()))
    }

    fn of(hex: &str) -> Option<Self> {
        let mut key = [0; KEY_LEN];
        if hex.len() != KEY_LEN * 2 || !hex.is_ascii() {
            return None;
        }
        for (octet, digits) in key.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        RandomizedNonceKey::new(&AES_256_GCM, &key).ok().map(Self)
    }

    /// Seals `plain` for `name`.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, WrongKey> {
        let mut sealed = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(aad(name)), &mut sealed).map_err(|_| WrongKey)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for `name`.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, WrongKey> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| WrongKey)?;
        let mut plain = sealed.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(aad(name)), &mut plain).map_err(|_| WrongKey)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// What is kept to tell a wrong key at the next start.
    pub fn mark(&self) -> Result<Vec<u8>, WrongKey> {
        self.seal("the key", KNOWN.as_bytes())
    }

    /// Whether this key made the mark.
    pub fn knows(&self, mark: &[u8]) -> bool {
        self.open("the key", mark).is_ok_and(|plain| plain == KNOWN.as_bytes())
    }
}

fn aad(name: &str) -> Vec<u8> {
    format!("gatehouse private key\n{name}").into_bytes()
}

fn read_or_make(path: &Path) -> Result<String, VaultError> {
    let failed = |source: io::Error| VaultError::File { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(about) if about.permissions().mode() & 0o077 != 0 => Err(VaultError::Open(path.to_owned())),
        Ok(_) => fs::read_to_string(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = draw().map_err(failed)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            // Its name as well, before anything is sealed with it.
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            Ok(text)
        }
        Err(error) => Err(failed(error)),
    }
}

fn draw() -> io::Result<String> {
    let mut key = [0; KEY_LEN];
    rand::fill(&mut key).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(hex(&key) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_its_name_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let vault = Vault::open_with(None, &file, false).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = vault.seal("acme.com", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        let again = Vault::open_with(None, &file, false).unwrap();
        assert_eq!(again.open("acme.com", &sealed).unwrap(), b"secret");
        assert!(again.knows(&vault.mark().unwrap()));
        let other = Vault::open_with(Some(&SecretString::from("ab".repeat(32))), &file, false).unwrap();
        assert_eq!(other.open("acme.com", &sealed), Err(WrongKey));
        assert!(!other.knows(&vault.mark().unwrap()));
        assert_eq!(again.open("globex.com", &sealed), Err(WrongKey));
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(again.open("acme.com", &damaged), Err(WrongKey));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_gone_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        Vault::open_with(None, &file, false).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Vault::open_with(None, &file, false), Err(VaultError::Open(_))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(&file).unwrap();
        assert!(matches!(Vault::open_with(None, &file, true), Err(VaultError::Missing(_))) && !file.exists());
        fs::write(&file, "too short").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Vault::open_with(None, &file, false), Err(VaultError::NoKey(_))));
    }
}
