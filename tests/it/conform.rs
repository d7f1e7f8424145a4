//! The models of the simulation held against what they are models of: the same random calls, and the same answers.
//!
//! Known differences, and why they may be:
//!
//! | model | real | difference |
//! |---|---|---|
//! | S3 | both servers | our client takes a write that is refused for done when the very bytes are there: the simulated programs look themselves |
//! | S3 | both servers | no uploads in parts: one request in the model |
//! | Auto Scaling | the rig | machines have other ids, and end and start at other moments: what is compared is at rest |
//! | Auto Scaling | the rig | which member goes when a group gets smaller |
//! | Consul | Consul | a freed lock cannot be taken for a second (its delay): the model frees it at once |

mod consul;
mod groups;
mod objects;

/// SplitMix64: the same calls from the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % n as u64).unwrap()
    }
}
