//! Hexadecimal, as hashes and keys are written.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two lower-case digits for each octet.
pub fn hex<'a>(octets: impl IntoIterator<Item = &'a u8>) -> String {
    octets.into_iter().flat_map(|octet| [octet >> 4, octet & 0xf]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn each_octet_has_two_digits() {
        assert_eq!((hex(&[0x00, 0x0f, 0xa5, 0xff]), hex(&[])), ("000fa5ff".to_owned(), String::new()));
    }
}
