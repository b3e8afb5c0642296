//! A short list: a vector where there is an allocator, an array of `N` where there is none.
//! Invariant: without an allocator `len <= N`, and what lies beyond `len` is blank.

/// What an unused place of an array holds.
pub(crate) trait Blank: Copy {
    #[cfg_attr(feature = "alloc", allow(dead_code))] // vectors have no unused places
    const BLANK: Self;
}

/// There is no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

#[cfg(feature = "alloc")]
#[derive(Debug, Clone)]
pub(crate) struct List<T, const N: usize> {
    items: alloc::vec::Vec<T>,
}

#[cfg(not(feature = "alloc"))]
#[derive(Debug, Clone)]
pub(crate) struct List<T, const N: usize> {
    items: [T; N],
    len: usize,
}

#[cfg(feature = "alloc")]
impl<T: Blank, const N: usize> List<T, N> {
    pub const fn new() -> Self {
        Self {
            items: alloc::vec::Vec::new(),
        }
    }

    pub fn as_slice(&self) -> &[T] {
        &self.items
    }

    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// Puts `item` at position `at`, which is moved up; `at` beyond the end means the end.
    pub fn insert(&mut self, at: usize, item: T) -> Result<(), NoRoom> {
        self.items.insert(at.min(self.items.len()), item);
        Ok(())
    }

    /// Removes what is at `at`, if anything is.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        (at < self.items.len()).then(|| self.items.remove(at))
    }
}

#[cfg(not(feature = "alloc"))]
impl<T: Blank, const N: usize> List<T, N> {
    pub const fn new() -> Self {
        Self {
            items: [T::BLANK; N],
            len: 0,
        }
    }

    pub fn as_slice(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or(&[])
    }

    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.items.get_mut(..self.len).unwrap_or(&mut [])
    }

    /// Puts `item` at position `at`, which is moved up; `at` beyond the end means the end.
    pub fn insert(&mut self, at: usize, item: T) -> Result<(), NoRoom> {
        let at = at.min(self.len);
        let tail = self.items.get_mut(at..=self.len).ok_or(NoRoom)?;
        tail.rotate_right(1);
        if let Some(free) = tail.first_mut() {
            *free = item;
        }
        self.len += 1;
        Ok(())
    }

    /// Removes what is at `at`, if anything is.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        let tail = self.as_mut_slice().get_mut(at..)?;
        let item = *tail.first()?;
        tail.rotate_left(1);
        if let Some(last) = tail.last_mut() {
            *last = T::BLANK;
        }
        self.len -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Blank for u8 {
        const BLANK: Self = 0;
    }

    #[test]
    fn keeps_order_when_changed_in_the_middle() {
        let mut list = List::<u8, 3>::new();
        assert_eq!(list.remove(0), None);
        list.insert(0, 1).unwrap();
        list.insert(9, 3).unwrap();
        list.insert(1, 2).unwrap();
        assert_eq!(list.as_slice(), [1, 2, 3]);
        assert_eq!(list.insert(0, 9).is_ok(), cfg!(feature = "alloc"));
        let mut list = List::<u8, 3>::new();
        for n in 1..=3 {
            list.insert(9, n).unwrap();
        }
        assert_eq!(list.remove(1), Some(2));
        assert_eq!(list.as_mut_slice(), [1, 3]);
        assert_eq!(list.remove(2), None);
    }
}
