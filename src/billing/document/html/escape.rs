//! Text in HTML: nothing in it is markup, between tags as well as in quoted attributes.

use std::fmt;

/// Shown with the characters that mean something in HTML written as references.
pub struct Escaped<'t>(pub &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(place) = rest.find(['&', '<', '>', '"', '\'', '`']) {
            let (plain, from) = rest.split_at(place);
            let reference = match from.as_bytes()[0] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => "&#96;",
            };
            f.write_str(plain)?;
            f.write_str(reference)?;
            rest = &from[1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_means_something_in_html_is_written_as_a_reference() {
        let cases = [
            ("", ""),
            ("plain Ünï", "plain Ünï"),
            ("<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
            ("&lt; \"`", "&amp;lt; &quot;&#96;"),
        ];
        for (text, expected) in cases {
            assert_eq!(Escaped(text).to_string(), expected);
        }
    }
}
