//! How much memory claims take, estimated: the cache that holds them is bounded in bytes.

use serde_json::Value;

/// What an allocator takes for so many bytes: nothing for none, else whole units.
pub(in crate::token) fn allocation(bytes: usize) -> usize {
    const UNIT: usize = 16;
    bytes.next_multiple_of(UNIT)
}

/// What a value takes beside its own size. Recursive: values of tokens are bounded in depth.
pub(in crate::token) fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => allocation(text.capacity()),
        Value::Array(values) => allocation(values.capacity() * size_of::<Value>()) + values.iter().map(heap_bytes).sum::<usize>(),
        Value::Object(members) => {
            // A map is a tree with nodes of a fixed size, of which half of the places may be empty.
            let nodes = members.len().div_ceil(NODE_MEMBERS / 2);
            let texts = members.iter().map(|(name, value)| allocation(name.capacity()) + heap_bytes(value));
            nodes * allocation(NODE_MEMBERS * (size_of::<String>() + size_of::<Value>())) + texts.sum::<usize>()
        }
    }
}

/// Members in one node of a map.
const NODE_MEMBERS: usize = 11;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_and_every_place_for_a_value_counts() {
        assert_eq!(heap_bytes(&json!(null)), 0);
        assert_eq!(heap_bytes(&json!(1)), 0);
        assert_eq!(heap_bytes(&json!("0123456789abcdef0")), 32);
        let value = size_of::<Value>();
        assert_eq!(heap_bytes(&json!(["a", "b", 3, 4])), 4 * value + 2 * 16);
        let node = allocation(NODE_MEMBERS * (size_of::<String>() + value));
        assert_eq!(heap_bytes(&json!({})), 0);
        assert_eq!(heap_bytes(&json!({ "a": true })), node + 16);
        assert_eq!(heap_bytes(&json!([[{ "a": "b" }]])), 2 * value + node + 32);
        let six = json!({ "a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1 });
        assert_eq!(heap_bytes(&six), 2 * node + 6 * 16, "five fill a node that may be half empty");
    }
}
