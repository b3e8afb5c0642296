//! Names of network interfaces: 1 to 15 octets, as the kernel's `dev_valid_name` has it.

use core::fmt;

/// Size of the kernel's field for a name, its terminating zero included.
pub(crate) const FIELD: usize = 16;

/// A name, padded with zeros; always at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name([u8; FIELD]);

impl Name {
    /// `None` for what no interface can be called.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let odd = |octet: u8| {
            octet.is_ascii_whitespace() || octet == 0x0b || matches!(octet, 0 | b'/' | b':' | b'%')
        };
        let valid = !name.is_empty()
            && name.len() < FIELD
            && name != "."
            && name != ".."
            && !name.bytes().any(odd);
        valid.then(|| Self::lossy(name))
    }

    /// The first 15 octets of anything, cut at a character.
    pub(crate) fn lossy(name: &str) -> Self {
        let end = name.floor_char_boundary(FIELD - 1);
        let mut field = [0; FIELD];
        for (to, from) in field.iter_mut().zip(name.bytes().take(end)) {
            *to = from;
        }
        Self(field)
    }

    /// What the kernel filled in.
    pub(crate) fn from_field(mut field: [u8; FIELD]) -> Self {
        field[FIELD - 1] = 0;
        Self(field)
    }

    pub(crate) const fn field(&self) -> &[u8; FIELD] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        let octets = self.0.split(|octet| *octet == 0).next().unwrap_or_default();
        core::str::from_utf8(octets).unwrap_or("?")
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_takes_is_a_name() {
        for good in ["lo", "tap0", "0123456789abcde", "eth0.5", "tap-ü"] {
            assert_eq!(Name::new(good).as_ref().map(Name::as_str), Some(good));
        }
        for bad in [
            "",
            ".",
            "..",
            "0123456789abcdef",
            "a/b",
            "a b",
            "a\tb",
            "a:1",
            "tap%d",
            "a\0",
        ] {
            assert_eq!(Name::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(Name::lossy("0123456789abcdef").as_str(), "0123456789abcde");
        assert_eq!(Name::lossy("0123456789abcdü").as_str(), "0123456789abcd");
        assert_eq!(Name::from_field([b'x'; FIELD]).as_str(), "xxxxxxxxxxxxxxx");
    }
}
