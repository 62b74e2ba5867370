/// One line of JSON, its fields in the order in which they were given.
struct JSONLine: CustomStringConvertible {
  private var fields: [String] = []

  mutating func add(_ name: String, _ text: String) {
    var quoted = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case _ where scalar.value < 32: quoted += " "
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    fields.append("\"\(name)\":\"\(quoted)\"")
  }

  mutating func add(_ name: String, _ number: some BinaryInteger) {
    fields.append("\"\(name)\":\(number)")
  }

  mutating func add(_ name: String, _ number: Double, digits: Int) {
    fields.append("\"\(name)\":\(number.isFinite ? number.digits(digits) : "null")")
  }

  /// The percentiles of durations, in microseconds.
  mutating func add(_ prefix: String, _ histogram: Histogram) {
    let parts: [(String, Double)] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)]
    for (name, part) in parts {
      add("\(prefix)\(name)_us", Double(histogram.percentile(part)) / 1000, digits: 1)
    }
    add("\(prefix)max_us", Double(histogram.maximum) / 1000, digits: 1)
  }

  var description: String { "{" + fields.joined(separator: ",") + "}" }
}
