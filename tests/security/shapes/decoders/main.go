// What Go's encoding/json reads in a request: keys in any case, the last one of several.
//
// Arguments: the keys of the structs, and those whose values are open, each list with commas. Standard input: one body a
// line, as base64. Standard output: for each, a line with the list of [path, string], or {"error": …}.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
)

var (
	keys   []string
	open   = map[string]bool{}
	object reflect.Type
)

func main() {
	keys = strings.Split(os.Args[1], ",")
	for _, key := range strings.Split(os.Args[2], ",") {
		open[key] = true
	}
	fields := make([]reflect.StructField, len(keys))
	for index, key := range keys {
		tag := reflect.StructTag(fmt.Sprintf("json:%q", key))
		fields[index] = reflect.StructField{Name: fmt.Sprintf("F%d", index), Type: reflect.TypeOf(json.RawMessage{}), Tag: tag}
	}
	object = reflect.StructOf(fields)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 256<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		body, err := base64.StdEncoding.DecodeString(lines.Text())
		found := [][2]string{}
		if err == nil {
			err = walk(body, "", false, &found)
		}
		if err != nil {
			encoder.Encode(map[string]string{"error": err.Error()})
		} else {
			encoder.Encode(found)
		}
	}
}

func walk(value json.RawMessage, path string, inOpen bool, found *[][2]string) error {
	text := strings.TrimLeft(string(value), " \t\r\n")
	if text == "" {
		return nil
	}
	switch text[0] {
	case '"':
		var read string
		if err := json.Unmarshal(value, &read); err != nil {
			return err
		}
		*found = append(*found, [2]string{path, read})
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(value, &items); err != nil {
			return err
		}
		for index, item := range items {
			if err := walk(item, fmt.Sprintf("%s[%d]", path, index), inOpen, found); err != nil {
				return err
			}
		}
	case '{':
		return members(value, path, inOpen, found)
	default:
		var any interface{}
		return json.Unmarshal(value, &any)
	}
	return nil
}

func members(value json.RawMessage, path string, inOpen bool, found *[][2]string) error {
	if inOpen {
		var read map[string]json.RawMessage
		if err := json.Unmarshal(value, &read); err != nil {
			return err
		}
		names := make([]string, 0, len(read))
		for name := range read {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			if err := walk(read[name], path+"."+name, true, found); err != nil {
				return err
			}
		}
		return nil
	}
	read := reflect.New(object)
	if err := json.Unmarshal(value, read.Interface()); err != nil {
		return err
	}
	for index, key := range keys {
		inner := read.Elem().Field(index).Bytes()
		if err := walk(inner, path+"."+key, open[key], found); err != nil {
			return err
		}
	}
	return nil
}
