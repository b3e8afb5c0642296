//! The memory of all connections together, and what is done when there is little.

/// How much memory the stack's connections have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Enough: buffers and windows grow.
    #[default]
    Free,
    /// Little: nothing grows.
    Pressure,
    /// None: what need not be kept is dropped.
    Full,
}
