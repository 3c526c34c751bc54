//! What makes things unreadable: sessions, letters, certificates, pseudonyms, columns at rest.
//!
//! Only this module makes [`Sealed`] and [`Pseudonym`], the two things that may go out.

mod outbound;

pub use outbound::{Pseudonym, Sealed};
