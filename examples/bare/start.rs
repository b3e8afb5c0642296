//! The way in where there is no std: C's `main`, which the linker's own start-up code calls.
//! Unsafe is that two names are agreed on with C's library; there is no block of unsafe code.
#![allow(unsafe_code)]

use core::ffi::c_int;

#[link(name = "c")]
unsafe extern "C" {
    safe fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    c_int::from(crate::run().is_err())
}
