//! State that few connections ever need.
//!
//! Invariant: with an allocator it is a pointer until it is first changed; reading never makes
//! it. Without one it is part of its owner. For the control block's own use.

/// A `T` that is its default until changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Seldom<T>(Inner<T>);

#[cfg(feature = "alloc")]
type Inner<T> = Option<alloc::boxed::Box<T>>;
#[cfg(not(feature = "alloc"))]
type Inner<T> = Option<T>;

impl<T: Default> Seldom<T> {
    /// What it is, if it was ever changed.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        #[cfg(feature = "alloc")]
        return self.0.as_deref();
        #[cfg(not(feature = "alloc"))]
        self.0.as_ref()
    }

    /// The same, to be changed, but not made.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        #[cfg(feature = "alloc")]
        return self.0.as_deref_mut();
        #[cfg(not(feature = "alloc"))]
        self.0.as_mut()
    }

    /// To be changed; made if need be.
    pub fn make(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_absent_until_changed() {
        let mut few = Seldom::<[u64; 9]>::default();
        assert!(few.get().is_none() && few.get_mut().is_none());
        few.make()[3] = 7;
        assert_eq!(few.get().map(|all| all[3]), Some(7));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn is_a_pointer() {
        assert_eq!(size_of::<Seldom<[u64; 9]>>(), size_of::<usize>());
    }
}
