//! Text put together in a buffer that is used again.

/// Appends formatted text to a `String`, which cannot fail.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {{
        let _ = ::std::fmt::Write::write_fmt($out, format_args!($($format)*));
    }};
}
pub(crate) use put;
