//! A received frame that lies in memory of its device until the sink has seen it: what the kernel's
//! devices hand out.

use crate::{RxMeta, RxToken};

/// The frame, to be changed in place, and what is known of it.
pub(crate) struct Rx<'a> {
    pub(crate) frame: &'a mut [u8],
    pub(crate) meta: RxMeta,
}

impl RxToken for Rx<'_> {
    fn frame(&mut self) -> &mut [u8] {
        self.frame
    }
    fn meta(&self) -> RxMeta {
        self.meta
    }
}
