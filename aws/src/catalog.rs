//! What is asked before anything is made: images, instance types, zones.

mod image;
mod offers;
mod prices;

pub use image::{Image, find_image};
pub use offers::{Offer, offers};
pub use prices::{Micros, Prices, prices};
