//! The whole path on AWS: the real coordinator through the real SDK, machines that boot the real agent.
//!
//! What is about Spark runs Spark ([`examples`], [`older`]). What is about machines runs the real agent with a stand-in for
//! Spark ([`light`]): the faults of EC2, of Auto Scaling, of metadata and of clocks.

mod again;
mod allowed;
mod alone;
mod budget;
mod calls;
mod capacity;
mod clocks;
mod control;
mod credentials;
mod deadline;
mod doctor;
mod enrol;
mod examples;
mod hidden;
mod image;
mod lags;
mod leases;
mod left;
mod leftovers;
mod light;
mod made;
mod metadata;
mod network;
mod older;
mod outages;
mod parted;
mod placed;
mod replaced;
mod same;
mod session;
mod spot;
mod template;
mod troubles;
mod two;
