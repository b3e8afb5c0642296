//! Interfaces over interfaces: two links as one, filters, links without addresses.
