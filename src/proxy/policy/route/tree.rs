//! The paths of all routes, segment by segment, and the nodes that a path may reach in any reading.

use std::collections::HashMap;

use super::spelling::{self, Match, Segment};

/// More places than that are not followed.
const MAX_PLACES: usize = 32;

/// The root is the first node.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    name: String,
    /// By what all spellings of a child's name have in common, so that a segment need not be compared with each of them.
    children: HashMap<String, Vec<usize>>,
    /// Indices of the routes whose path ends here.
    routes: Vec<usize>,
}

/// Where a path may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    node: usize,
    depth: Depth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// To the node.
    At,
    /// To the root, and an authority may follow, as behind the two slashes of a URL.
    BeforeAuthority,
    /// Below it, to where no route has its path.
    Below,
    /// Below it too, for servers alone that do not decode the name of a route that the others do: to where there is nothing.
    BelowAsSpelled,
}

impl Place {
    const ROOT: Self = Self { node: 0, depth: Depth::At };

    /// Whether nothing but an encoded name leads there.
    pub(super) fn is_as_spelled(self) -> bool {
        self.depth == Depth::BelowAsSpelled
    }
}

impl Tree {
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut tree = Self { nodes: vec![Node::default()] };
        for (route, path) in paths.enumerate() {
            let node = path.split('/').skip(1).fold(0, |node, name| tree.child(node, name));
            if let Some(node) = tree.nodes.get_mut(node) {
                node.routes.push(route);
            }
        }
        tree
    }

    fn child(&mut self, parent: usize, name: &str) -> usize {
        let skeleton = spelling::skeleton(name);
        if let Some((known, _)) = self.children(parent, &skeleton).find(|(_, child)| child.name == name) {
            return known;
        }
        let index = self.nodes.len();
        self.nodes.push(Node { parent, name: name.to_owned(), ..Node::default() });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.entry(skeleton).or_default().push(index);
        }
        index
    }

    /// The children of a node whose names have this skeleton.
    fn children(&self, node: usize, skeleton: &str) -> impl Iterator<Item = (usize, &Node)> {
        let children = self.nodes.get(node).and_then(|node| node.children.get(skeleton)).into_iter().flatten();
        children.filter_map(|index| Some((*index, self.nodes.get(*index)?)))
    }

    /// Every place that some server may take a path to. None if these are too many.
    pub(super) fn places(&self, segments: &[Segment]) -> Option<Vec<Place>> {
        let mut places = vec![Place::ROOT];
        let mut ends = Vec::new();
        for segment in segments {
            let mut next = Vec::with_capacity(places.len() + 2);
            for place in places {
                self.step(place, segment, &mut |place| add(&mut next, place));
            }
            if segment.may_be_last {
                next.iter().for_each(|place| add(&mut ends, *place));
            }
            if next.len() > MAX_PLACES {
                return None;
            }
            places = next;
        }
        ends.into_iter().for_each(|place| add(&mut places, place));
        Some(places)
    }

    /// Where a segment may lead from a place.
    fn step(&self, place: Place, segment: &Segment, to: &mut impl FnMut(Place)) {
        let Place { node, depth } = place;
        if segment.may_lead_up {
            to(place);
            self.up(node).for_each(|node| to(Place { node, depth: Depth::At }));
        }
        if segment.may_be_nothing {
            to(place);
        }
        if matches!(depth, Depth::Below | Depth::BelowAsSpelled) {
            return to(place);
        }
        if depth == Depth::BeforeAuthority {
            // The text before a slash that some do not see is no authority for those.
            to(if segment.is_joined { place } else { Place::ROOT });
        } else if segment.may_be_nothing && node == 0 {
            to(Place { depth: Depth::BeforeAuthority, ..place });
        }
        let (mut is_spelled, mut is_certain) = (false, false);
        for (index, child) in segment.skeletons().flat_map(|skeleton| self.children(node, skeleton)) {
            let found = segment.is(&child.name);
            if found != Match::Never {
                to(Place { node: index, depth: Depth::At });
            }
            is_spelled |= found == Match::Encoded;
            is_certain |= found == Match::Always;
        }
        if !is_certain {
            to(Place { node, depth: if is_spelled { Depth::BelowAsSpelled } else { Depth::Below } });
        }
    }

    /// A node and all above it.
    fn up(&self, node: usize) -> impl Iterator<Item = usize> {
        let parent = |node: &usize| self.nodes.get(*node).filter(|_| *node != 0).map(|node| node.parent);
        std::iter::successors(Some(node), parent)
    }

    /// The routes that may take what leads to a place, each with whether it is there that its path ends; the nearest first.
    pub(super) fn routes(&self, place: Place) -> impl Iterator<Item = (usize, bool)> {
        let is_at = matches!(place.depth, Depth::At | Depth::BeforeAuthority);
        self.up(place.node).flat_map(move |node| {
            let routes = self.nodes.get(node).into_iter().flat_map(|node| &node.routes);
            routes.map(move |route| (*route, is_at && node == place.node))
        })
    }
}

fn add(places: &mut Vec<Place>, place: Place) {
    if !places.contains(&place) {
        places.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_lead_to_so_many_places_and_no_more() {
        // Each of these names may be meant, and a place where none is.
        let places = |names: usize| {
            let paths: Vec<_> = (0..names).map(|index| format!("/a{}", "!".repeat(index))).collect();
            Tree::new(paths.iter().map(String::as_str)).places(&spelling::segments(b"/%2561").unwrap())
        };
        assert_eq!(places(MAX_PLACES - 1).map(|places| places.len()), Some(MAX_PLACES));
        assert_eq!(places(MAX_PLACES), None);
    }

    #[test]
    fn a_segment_is_compared_with_as_many_names_of_ten_as_of_a_thousand() {
        let compared = |count: usize| {
            let paths: Vec<_> = (0..count).map(|index| format!("/tenant{index}")).collect();
            let tree = Tree::new(paths.iter().map(String::as_str));
            let path = format!("/..;a;b;c/tenant7;x/%2e%2e%2f;tenant8/TENANT9/{}", "..;a;b;c;d;e;f/".repeat(50));
            let segments = spelling::segments(path.as_bytes()).unwrap();
            let of_segment =
                |segment: &Segment| segment.skeletons().map(|skeleton| tree.children(0, skeleton).count()).sum::<usize>();
            segments.iter().map(of_segment).sum::<usize>()
        };
        assert_eq!((compared(10), compared(1_000)), (3, 3));
    }
}
