const words = (text: string): readonly string[] => text.trim().split(/\s+/)

/** What a random name begins with. */
export const ADJECTIVES = words(`
  agile amber ample azure bold brave brief bright brisk broad calm candid civil clean clear clever cool coral crisp dapper deft
  dense eager early easy exact fair fast fine firm fluid fond frank free fresh gentle glad gold grand green happy hardy honest
  humble icy ideal ivory jolly just keen kind large late lean light lilac lively local loyal lucid lucky major mellow mild
  modest neat nimble noble novel olive open pale placid plain polar proud pure quick quiet rapid rare ready regal rich ripe robust
  rosy round royal ruby safe sharp shy silent silver simple sleek slow smart smooth snowy sober soft solid sonic stable steady
  still stout sunny super sure sweet swift tall teal tidy tiny topaz tough trim true upper urban vast vivid warm wary wise witty
  young zesty`)

/** What a random name ends with. */
export const NOUNS = words(`
  acorn alder anchor apple arch aspen badger bark basin bay beach beam bear beech birch bird boat brook cairn canoe cape cave
  cedar cliff cloud clover coast comet copse cove crane creek crest crow daisy dale dawn deer delta dove drum dune dusk eagle elk
  elm ember falcon fern finch fjord flame flint flute fog forest fox frost gale gate glade glen goat gorge grove gull harbor hare
  harp hawk hazel heath heron hill hive ibis iris isle ivy jay kelp kite lake lark leaf ledge linden loch lotus lynx maple marsh
  meadow mesa mist moon moose moss mole oak oasis ocean orbit orchid otter owl peak pearl pebble pine plover pond poppy quail
  quartz rain raven reed reef ridge river robin rook rose sage sail sand seal shell shore shrew sky slate sloe snow spark spring
  spruce star stone stork storm swan tern thorn thrush tide trail trout tulip tundra vale vine vole wave well willow wind wolf
  wood wren yew`)
