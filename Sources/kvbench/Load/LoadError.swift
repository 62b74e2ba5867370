/// Why a run can't go on: a sentence for whoever started it.
struct LoadError: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
