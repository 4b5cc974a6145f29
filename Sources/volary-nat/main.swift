internal import Glibc
internal import Networking

exit(NATCommand.main(arguments: Array(CommandLine.arguments.dropFirst())))
