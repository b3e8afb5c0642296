//! Octets as `-x`, `-X` and `-A` show them.

use super::printer::put;

/// How octets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `-x`: hexadecimal.
    Hex,
    /// `-X`: hexadecimal and characters.
    Both,
    /// `-A`: characters.
    Ascii,
}

/// Appends rows of sixteen octets, or all characters in one go.
pub fn put(form: Form, octets: &[u8], out: &mut String) {
    if form == Form::Ascii {
        for octet in octets {
            out.push(match octet {
                b'\n' | b'\t' | b' '..=b'~' => char::from(*octet),
                _ => '.',
            });
        }
        out.push('\n');
        return;
    }
    for (row, sixteen) in octets.chunks(16).enumerate() {
        put!(out, "\t0x{:04x}: ", row * 16);
        for pair in sixteen.chunks(2) {
            out.push(' ');
            for octet in pair {
                put!(out, "{octet:02x}");
            }
        }
        if form == Form::Both {
            // Eight groups of five characters fill a row.
            let written = sixteen.len() * 2 + sixteen.len().div_ceil(2);
            put!(out, "{:pad$}  ", "", pad = 40usize.saturating_sub(written));
            for octet in sixteen {
                out.push(if octet.is_ascii_graphic() {
                    char::from(*octet)
                } else {
                    '.'
                });
            }
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_line_up() {
        let mut out = String::new();
        put(Form::Both, b"GET / HTTP/1.1\r\n\x00ab", &mut out);
        put(Form::Hex, &[1, 2, 3], &mut out);
        put(Form::Ascii, b"a\x80b\n", &mut out);
        assert_eq!(
            out,
            "\t0x0000:  4745 5420 2f20 4854 5450 2f31 2e31 0d0a  GET./.HTTP/1.1..\n\
             \t0x0010:  0061 62                                  .ab\n\
             \t0x0000:  0102 03\n\
             a.b\n\n"
        );
    }
}
