/// The lines of several systems' runs as one Markdown table of medians and ratios.
///
/// A line's tag says which system and which work it was, as `etcd35 put:64`. The first system of the table is what the
/// others are compared with: behind each figure stands how many times as much the first one has.
struct ComparisonTable {
  /// A figure of a kind of work, and how it is called.
  private struct Figure {
    var field: String
    var name: String
    var digits: Int
  }

  private static let figures = [
    Figure(field: "per_second", name: "a second", digits: 0),
    Figure(field: "p50_us", name: "p50 us", digits: 0),
    Figure(field: "p99_us", name: "p99 us", digits: 0),
    Figure(field: "handover_p50_us", name: "hand-over p50 us", digits: 0),
    Figure(field: "events_per_second", name: "events a second", digits: 0),
    Figure(field: "event_p50_us", name: "event p50 us", digits: 0),
    Figure(field: "server_cpu_s_per_100k", name: "server CPU s / 100 000", digits: 2),
    Figure(field: "median_ms", name: "ms until a write succeeds", digits: 0),
    Figure(field: "max_ms", name: "ms until a write succeeds, worst", digits: 0),
    Figure(field: "rss_mb_1", name: "MB of the smallest node", digits: 0),
    Figure(field: "rss_mb_3", name: "MB of the largest node", digits: 0),
    Figure(field: "milliseconds", name: "ms until a write succeeds", digits: 0),
  ]

  private var systems: [String] = []
  private var works: [String] = []
  /// By system, work and field: what each run had.
  private var values: [String: [Double]] = [:]

  init(lines: [Substring]) {
    for line in lines {
      let fields = Self.fields(of: line)
      guard let tag = fields["tag"], let space = tag.firstIndex(of: " ") else { continue }
      let (system, work) = (String(tag[..<space]), String(tag[tag.index(after: space)...]))
      let part = fields["part"].map { "\(work) \($0)" } ?? work
      if !systems.contains(system) { systems.append(system) }
      if !works.contains(part) { works.append(part) }
      for (name, text) in fields {
        guard let number = Double(text) else { continue }
        values[Self.name(system, part, name), default: []].append(number)
      }
    }
  }

  private static func name(_ system: String, _ work: String, _ field: String) -> String {
    "\(system)|\(work)|\(field)"
  }

  private func median(_ system: String, _ work: String, _ field: String) -> Double? {
    guard let all = values[Self.name(system, work, field)]?.sorted(), !all.isEmpty else {
      return nil
    }
    let middle = all.count / 2
    return all.count % 2 == 1 ? all[middle] : (all[middle - 1] + all[middle]) / 2
  }

  var markdown: String {
    guard let first = systems.first else { return "no lines with a tag\n" }
    var text = "| work | | " + systems.joined(separator: " | ") + " |\n"
    text += "| --- | --- |" + String(repeating: " --: |", count: systems.count) + "\n"
    for work in works {
      for figure in Self.figures {
        let cells = systems.map { median($0, work, figure.field) }
        guard cells.contains(where: { $0 != nil }) else { continue }
        let ours = median(first, work, figure.field)
        let row = zip(systems, cells).map { system, value in
          Self.cell(value, ours: system == first ? nil : ours, digits: figure.digits)
        }
        text += "| \(work) | \(figure.name) | " + row.joined(separator: " | ") + " |\n"
      }
    }
    return text
  }

  private static func cell(_ value: Double?, ours: Double?, digits: Int) -> String {
    guard let value else { return "" }
    let shown = value.digits(value < 10 ? max(digits, 1) : digits)
    guard let ours, value > 0 else { return shown }
    return "\(shown) (\((ours / value).digits(2)) x)"
  }

  /// The fields of a flat line of JSON, as this program writes it.
  static func fields(of line: Substring) -> [String: String] {
    var fields: [String: String] = [:]
    var rest = line.drop { $0 != "{" }.dropFirst()
    while let name = takeText(from: &rest), rest.first == ":" {
      rest = rest.dropFirst()
      if rest.first == "\"" {
        fields[name] = takeText(from: &rest) ?? ""
      } else {
        let number = rest.prefix { $0 != "," && $0 != "}" }
        fields[name] = String(number)
        rest = rest.dropFirst(number.count)
      }
      guard rest.first == "," else { break }
      rest = rest.dropFirst()
    }
    return fields
  }

  private static func takeText(from rest: inout Substring) -> String? {
    guard rest.first == "\"" else { return nil }
    rest = rest.dropFirst()
    var text = ""
    while let character = rest.popFirst() {
      if character == "\"" { return text }
      if character == "\\", let next = rest.popFirst() {
        text.append(next)
      } else {
        text.append(character)
      }
    }
    return nil
  }
}
