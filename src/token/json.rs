//! JSON objects without duplicate members, bounded in depth.
