//! What is asked before anything is made: images, instance types, zones, permissions.

mod allowed;
mod image;
mod offers;
mod prices;
mod quota;

pub use allowed::denied;
pub use image::{Image, find_image};
pub use offers::{Offer, offers};
pub use prices::{Micros, Prices, prices};
pub use quota::{is_standard, vcpus};
