// go-git, driven: the command line is that of driving.py beside this file.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"
)

const (
	refused = 1
	cannot  = 3
)

// What the linker is told of the package that this was built with.
var packaged = "unknown"

var errCannot = errors.New("go-git cannot do that")

var user, token = os.Getenv("GUTS_USER"), os.Getenv("GUTS_TOKEN")

func who() transport.AuthMethod {
	if token == "" {
		return nil
	}
	return &http.BasicAuth{Username: user, Password: token}
}

func main() {
	err := run(os.Args[1], os.Args[2:])
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, errCannot) {
		os.Exit(cannot)
	}
	os.Exit(refused)
}

func run(verb string, words []string) error {
	switch verb {
	case "version":
		fmt.Println(packaged)
		return nil
	case "ls":
		return ls(words[0])
	case "clone":
		return clone(words)
	case "partial":
		return fmt.Errorf("%w: it has no partial clone", errCannot)
	case "fetch":
		return fetch(words[0])
	case "commit":
		return commit(words[0], words[1])
	case "push":
		return push(words[0], words[1], words[2:])
	}
	return fmt.Errorf("no such command: %s", verb)
}

func ls(url string) error {
	remote := git.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: "origin", URLs: []string{url}})
	refs, err := remote.List(&git.ListOptions{Auth: who()})
	for _, ref := range refs {
		fmt.Println(ref.Hash(), ref.Name())
	}
	return err
}

func clone(words []string) error {
	options := &git.CloneOptions{URL: words[0], Auth: who()}
	if len(words) > 2 {
		depth, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		options.Depth = depth
	}
	_, err := git.PlainClone(words[1], false, options)
	return err
}

func fetch(directory string) error {
	repository, err := git.PlainOpen(directory)
	if err != nil {
		return err
	}
	return repository.Fetch(&git.FetchOptions{RemoteName: "origin", Auth: who(), Tags: git.AllTags})
}

func commit(directory string, path string) error {
	repository, err := git.PlainOpen(directory)
	if err != nil {
		return err
	}
	tree, err := repository.Worktree()
	if err != nil {
		return err
	}
	if _, err = tree.Add(path); err != nil {
		return err
	}
	author := &object.Signature{Name: user, Email: user + "@example.test", When: time.Now()}
	made, err := tree.Commit("by go-git", &git.CommitOptions{Author: author})
	fmt.Println(made)
	return err
}

func push(directory string, url string, refspecs []string) error {
	if os.Getenv("GUTS_PUSH_OPTION") != "" {
		return fmt.Errorf("%w: this version has no push options", errCannot)
	}
	if os.Getenv("GUTS_PUSH_ATOMIC") != "" {
		return fmt.Errorf("%w: this version has no atomic push", errCannot)
	}
	repository, err := git.PlainOpen(directory)
	if err != nil {
		return err
	}
	wanted := []config.RefSpec{}
	for _, refspec := range refspecs {
		wanted = append(wanted, config.RefSpec(refspec))
	}
	remote := git.NewRemote(repository.Storer, &config.RemoteConfig{Name: "pushed", URLs: []string{url}})
	return remote.Push(&git.PushOptions{RemoteName: "pushed", RefSpecs: wanted, Auth: who()})
}
