internal import RoostPlatform

/// How answers look: for a person at a terminal, for a pipe, or as JSON.
enum Output {
  /// Bytes for a person's eyes: a terminal must not obey what somebody has stored.
  static func printable(_ bytes: [UInt8]) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return bytes.map { byte in
        (0x20..<0x7F).contains(byte) ? String(UnicodeScalar(byte)) : "\\x" + hex([byte])
      }.joined()
    }
    var output = ""
    for scalar in text.unicodeScalars {
      let isControl = scalar.properties.generalCategory == .control
      if isControl, scalar != "\n", scalar != "\t" {
        output += scalar.escaped(asASCII: true)
      } else {
        output.unicodeScalars.append(scalar)
      }
    }
    return output
  }

  /// Bytes as one field of a line: nothing in it looks like the end of the field.
  static func field(_ bytes: [UInt8]) -> String {
    var output = ""
    for scalar in printable(bytes).unicodeScalars {
      switch scalar {
      case "\n": output += "\\n"
      case "\t": output += "\\t"
      default: output.unicodeScalars.append(scalar)
      }
    }
    return output
  }

  /// Two digits a byte.
  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Prints rows: as a table under its heads on a terminal, else as lines of fields between tabs.
  static func table(_ heads: [String], _ rows: [[String]]) {
    guard Process.outputIsTerminal else {
      for row in rows { print(row.joined(separator: "\t")) }
      return
    }
    let all = [heads] + rows
    let widths = heads.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    for row in all {
      let cells = row.enumerated().map { column, text in
        column == heads.count - 1
          ? text : text + String(repeating: " ", count: widths[column] - text.count)
      }
      print(cells.joined(separator: "  "))
    }
  }
}

/// A value of JSON.
indirect enum Json: CustomStringConvertible {
  case number(Int64)
  case count(UInt64)
  case text(String)
  case flag(Bool)
  case list([Json])
  case object([(String, Json)])
  case null

  var description: String {
    switch self {
    case .number(let number): "\(number)"
    case .count(let count): "\(count)"
    case .text(let text): Self.quoted(text)
    case .flag(let flag): "\(flag)"
    case .list(let elements): "[" + elements.map(\.description).joined(separator: ",") + "]"
    case .object(let fields):
      "{" + fields.map { "\(Self.quoted($0)):\($1)" }.joined(separator: ",") + "}"
    case .null: "null"
    }
  }

  private static func quoted(_ text: String) -> String {
    var output = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\t": output += "\\t"
      case "\r": output += "\\r"
      default:
        if scalar.value < 0x20 {
          let digits = String(scalar.value, radix: 16)
          output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          output.unicodeScalars.append(scalar)
        }
      }
    }
    return output + "\""
  }

  /// Bytes as a field: text where they are, else their digits under the field's name with `Hex` behind it.
  static func field(_ name: String, _ bytes: [UInt8]) -> (String, Json) {
    if let text = String(validating: bytes, as: UTF8.self) { return (name, .text(text)) }
    return (name + "Hex", .text(Output.hex(bytes)))
  }
}
