/// How far a write has come, which the system may do in several steps.
///
/// It may write less than it was given, or be interrupted before it has written anything: then what is left is written. A call that
/// writes nothing and tells no error would go on for ever, so that is an error.
package struct WriteProgress: Equatable, Sendable {
  package let byteCount: Int
  package private(set) var done = 0

  package init(byteCount: Int) { self.byteCount = byteCount }

  package var isComplete: Bool { done == byteCount }

  /// Takes the answer to a write of what was left: how many bytes were written, or less than 0, the number of an error.
  package mutating func take(_ result: Int) throws(SystemError) {
    guard result <= 0 else {
      precondition(result <= byteCount - done, "no more is written than was left")
      done += result
      return
    }
    let code = Int32(-result)
    if SystemError.isPassing(code) { return }
    throw SystemError("write", errno: code == 0 ? SystemError.inputOutput : code)
  }
}
