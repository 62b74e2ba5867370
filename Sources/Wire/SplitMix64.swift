/// The only dice in the house: small, fast, and the same sequence from a seed in every release.
///
/// The standard library does not promise the sequences of its own helpers, so the draws that matter
/// are made here. Not for secrets.
package struct SplitMix64: Hashable, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// The next 64 bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  /// A number in `0..<bound`, each as likely as the others but for a bias below 2^-32 for small bounds.
  package mutating func below(_ bound: UInt64) -> UInt64 {
    precondition(bound > 0, "a draw needs at least one outcome")
    return next().multipliedFullWidth(by: bound).high
  }

  /// A number in `range`.
  package mutating func draw(from range: ClosedRange<UInt64>) -> UInt64 {
    let span = range.upperBound - range.lowerBound
    return span == .max ? next() : range.lowerBound + below(span + 1)
  }

  /// True `numerator` times in `denominator`.
  package mutating func chance(_ numerator: UInt64, in denominator: UInt64) -> Bool {
    below(denominator) < numerator
  }

  /// A generator of its own that goes another way, so that one part's draws don't shift another's.
  package mutating func split() -> SplitMix64 { SplitMix64(seed: next()) }
}
