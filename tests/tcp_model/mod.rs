//! The parts of the model.

pub mod case;
pub mod device;
pub mod draw;
pub mod ends;
pub mod odd;
pub mod pairing;
pub mod pieces;
pub mod rare;
pub mod rings;
pub mod run;
pub mod seen;
pub mod spans;
pub mod steps;
pub mod watch;
pub mod world;
