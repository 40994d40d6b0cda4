//! Where a visitor of the demo can pretend to come from.

/// A place that a visitor of the demo can pretend to come from.
pub(super) struct Place {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) address: &'static str,
}

pub(super) const PLACES: [Place; 3] = [
    Place { id: "office", label: "The office in Munich", address: "203.0.113.10" },
    Place { id: "home", label: "At home, in the USA", address: "198.51.100.20" },
    Place { id: "abroad", label: "A country that is not allowed", address: "192.0.2.10" },
];
