internal import VolaryCommands

VolaryCommand.runProcess()
