//! `apsis`: the program. It reads configuration, builds the parts, runs and stops them.

fn main() {}
