internal import RoostNode
internal import RoostPlatform

/// Lines for the operator: time, level and a sentence, on standard error.
enum ServerLog {
  static func write(_ level: LogLevel, _ text: String) {
    let (seconds, milliseconds) = Machine.wallClock()
    let day = seconds % 86_400
    let time = [day / 3600, day / 60 % 60, day % 60].map { twoDigits($0) }.joined(separator: ":")
    let fraction = String(1000 + milliseconds).dropFirst()
    Process.complain("\(time).\(fraction)Z \(level.rawValue) \(text)")
  }

  private static func twoDigits(_ number: Int) -> String {
    number < 10 ? "0\(number)" : "\(number)"
  }
}
