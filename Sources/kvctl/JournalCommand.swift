internal import RoostNode
internal import RoostPlatform

/// `kvctl journal`: a data directory as a start would find it, without a server and without changing it.
enum JournalCommand {
  static let explanation = """
    usage: kvctl journal check PATH
           kvctl journal dump PATH

    check reads the data directory at PATH as a server's start would, and says what it finds: exit code 0 if all is sound, 8 if the last
    write was cut by a crash (a start cuts it off; nobody was promised it), 9 if something is not as it was written, 1 if no server could
    start with it. dump prints what stands in the files, record by record. The server must not run. Nothing is changed.
    """

  static func run(_ arguments: inout Arguments) throws(UsageError) -> Int32 {
    let action = try arguments.next("check or dump", of: "journal")
    let path = try arguments.next("PATH", of: "journal")
    try arguments.finish("journal")
    let directory = DataDirectory(at: path)
    switch action {
    case "check":
      let verdict = directory.check(line: { print($0) }, progress: tellProgress)
      return exitCode(of: verdict)
    case "dump":
      return exitCode(of: directory.dump(line: { print($0) }, progress: tellProgress))
    default:
      throw UsageError("journal knows check and dump, not '\(action)'", hint: "kvctl help journal")
    }
  }

  /// For somebody who waits at a terminal; standard error, so that the report can be piped.
  private static func tellProgress(_ file: String) { Process.complain("reading \(file)") }

  private static func exitCode(of verdict: DataDirectory.Verdict) -> Int32 {
    switch verdict {
    case .sound: ExitCode.done
    case .tornTail: ExitCode.tornTail
    case .damaged: ExitCode.damaged
    case .refused: ExitCode.failed
    }
  }
}
