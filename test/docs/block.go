package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Block is a block of commands in a page: indented by four spaces after an empty line, or fenced as sh.
//
// A comment on the line before it, or with an empty line between, says what becomes of it:
//
//	<!-- illustrative: why -->   it is not run
//	<!-- run by TestName -->     that test runs these commands, or what they stand for
//	(nothing)                    the lab runs it, in the order of the page, against a cluster with the quickstart
type Block struct {
	Page string
	Line int // of the first command, from 1
	Text string
	Mark string // the words of the comment; empty without one
}

func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Page, b.Line) }

// Illustrative says that nothing runs the block.
func (b Block) Illustrative() bool { return strings.HasPrefix(b.Mark, "illustrative") }

// RunBy is the name of the test that runs the block, if it is not the lab's.
func (b Block) RunBy() string {
	name, ok := strings.CutPrefix(b.Mark, "run by ")
	if !ok {
		return ""
	}
	return name
}

// Pages are the pages for users and contributors, relative to the root of the project; the decisions in docs/adr have no commands
// to follow.
func Pages(root string) (out []string, err error) {
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, fmt.Errorf("looking for pages: %w", err)
		}
		for _, f := range files {
			rel, err := filepath.Rel(root, f)
			if err != nil {
				return nil, fmt.Errorf("looking for pages: %w", err)
			}
			out = append(out, rel)
		}
	}
	return out, nil
}

// Blocks returns the blocks of commands of a page, in order.
func Blocks(root, page string) ([]Block, error) {
	raw, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return nil, fmt.Errorf("reading a page: %w", err)
	}
	return blocks(page, string(raw)), nil
}

var comment = regexp.MustCompile(`^<!-- ((?:illustrative|run by ).*?) -->$`)

func blocks(page, text string) (out []Block) {
	lines := strings.Split(text, "\n")
	mark := ""
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		var body []string
		first := i + 1
		switch {
		case strings.HasPrefix(line, "```"):
			isShell := line == "```sh"
			for i++; i < len(lines) && lines[i] != "```"; i++ {
				body = append(body, lines[i])
			}
			if first++; !isShell {
				mark = ""
				continue
			}
		case strings.HasPrefix(line, "    ") && (i == 0 || lines[i-1] == "" || comment.MatchString(lines[i-1])):
			for ; i < len(lines) && (strings.HasPrefix(lines[i], "    ") || lines[i] == "" && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "    ")); i++ {
				body = append(body, strings.TrimPrefix(lines[i], "    "))
			}
			i--
		case comment.MatchString(line):
			mark = comment.FindStringSubmatch(line)[1]
			continue
		default:
			if line != "" {
				mark = ""
			}
			continue
		}
		out = append(out, Block{Page: page, Line: first, Text: strings.Join(body, "\n"), Mark: mark})
		mark = ""
	}
	return out
}
