//! Peers, processes and starts that end or meet at the wrong moment.

mod hang_ups;
mod kills;
mod starts;
