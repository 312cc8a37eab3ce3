//! Lines of HTTP/1.1 as they are written (RFC 9112, sections 5 and 7.1).

/// Writes a field. Neither name nor value can hold a line end: where they come from does not allow it.
pub fn write_field(text: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the line before a chunk's data.
pub fn write_chunk_size(size: usize, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        // A nibble is below 16.
        out.push(DIGITS[(size >> (4 * place)) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}
