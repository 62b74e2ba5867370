internal import RoostWire

/// The numbers of a session's requests: which are in use, and below which all are done with.
///
/// The cluster takes no number that is a window or more above the first incomplete one. A number whose request was given up,
/// or waits for a lock, stays open as long as there is room, so that its outcome can be asked for; when half of
/// the window is in use, such numbers at its beginning are passed over. That is safe: a request below the first incomplete
/// number is never executed, however late it arrives.
struct SequenceWindow: Sendable {
  /// The most numbers from the first incomplete to the newest.
  static let size: UInt64 = 512

  private(set) var firstIncomplete: UInt64
  private(set) var next: UInt64
  /// A bit for each number of the window: its reply has come.
  private var answered = Bits()
  /// A bit for each number of the window: it need not hold up the rest.
  private var yielding = Bits()

  /// A window that begins with that number.
  init(from first: UInt64) {
    firstIncomplete = first
    next = first
  }

  var hasRoom: Bool { next - firstIncomplete < Self.size }

  /// Gives out the next number.
  mutating func take() -> SequenceNumber {
    precondition(hasRoom, "a number is taken while there is room")
    let number = next
    next += 1
    if next - firstIncomplete > Self.size / 2 { slide(overYielding: true) }
    return SequenceNumber(number)
  }

  /// The reply to that number has come.
  mutating func acknowledge(_ number: SequenceNumber) {
    guard (firstIncomplete..<next).contains(number.rawValue) else { return }
    answered[number.rawValue] = true
    slide(overYielding: next - firstIncomplete > Self.size / 2)
  }

  /// That number may be passed over when room is needed.
  mutating func yield(_ number: SequenceNumber) {
    guard (firstIncomplete..<next).contains(number.rawValue) else { return }
    yielding[number.rawValue] = true
    slide(overYielding: next - firstIncomplete > Self.size / 2)
  }

  /// Passes over every number at the beginning that may be.
  mutating func makeRoom() { slide(overYielding: true) }

  private mutating func slide(overYielding: Bool) {
    // The newest number is about to be sent, and says itself that it is incomplete.
    while firstIncomplete < next,
      answered[firstIncomplete] || (overYielding && yielding[firstIncomplete])
    {
      answered[firstIncomplete] = false
      yielding[firstIncomplete] = false
      firstIncomplete += 1
    }
  }

  private struct Bits: Sendable {
    private var words = [UInt64](repeating: 0, count: Int(SequenceWindow.size / 64))

    subscript(number: UInt64) -> Bool {
      get { words[Self.word(number)] & Self.bit(number) != 0 }
      set {
        if newValue {
          words[Self.word(number)] |= Self.bit(number)
        } else {
          words[Self.word(number)] &= ~Self.bit(number)
        }
      }
    }

    private static func word(_ number: UInt64) -> Int { Int(number % SequenceWindow.size / 64) }
    private static func bit(_ number: UInt64) -> UInt64 { 1 << (number % 64) }
  }
}
