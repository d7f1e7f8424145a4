//! What is asked before anything is made: images, instance types, zones.

mod image;
mod offers;

pub use image::{Image, find_image};
pub use offers::{Offer, offers};
