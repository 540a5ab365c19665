package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/lab/nodeinit"
	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// inside are the commands with which the lab calls itself; they are of no use at a prompt.
func inside() map[string]func(args []string) error {
	return map[string]func([]string) error{
		"exec":      recordAndExec,
		"node":      enterNode,
		"node-boot": bootNode,
		"watch":     watch,
	}
}

// recordAndExec (exec RECORD COMMAND...) writes down its own process id and becomes the command.
func recordAndExec(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("%w: exec RECORD COMMAND", errUsage)
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	self, err := proc.Self()
	if err != nil {
		return err
	}
	if err := self.Write(args[0]); err != nil {
		return err
	}
	return fmt.Errorf("starting %s: %w", path, syscall.Exec(path, args[1:], os.Environ()))
}

// enterNode (node CONFIG) is PID 1 of a node before it has its cgroups, bootNode (node-boot CONFIG) the same process after.
func enterNode(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: node CONFIG", errUsage)
	}
	config, err := nodeinit.Load(args[0])
	if err != nil {
		return err
	}
	return nodeinit.Enter(config, []string{os.Args[0], "node-boot", args[0]})
}

func bootNode(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: node-boot CONFIG", errUsage)
	}
	config, err := nodeinit.Load(args[0])
	if err != nil {
		return err
	}
	return nodeinit.Boot(config)
}

// watch (watch NAME PID START) reads the owner's pipe on its standard input.
func watch(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%w: watch NAME PID START", errUsage)
	}
	pid, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	start, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return lab.Watch(args[0], proc.Record{PID: pid, Start: start}, os.Stdin)
}
