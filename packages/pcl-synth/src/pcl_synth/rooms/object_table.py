"""The objects of long-tail rooms, a row each: how often, how large, where, and of which parts.

A row is `name | count | width depth height | rooms | places`, and its parts below it:

- `count`: instances in fifty rooms of the long tail.
- `width depth height`: centimetres, before each is scaled at random; the front looks to +y.
- `rooms`: initials of the kinds that have it: bedroom, office, living, kitchen, wet (bathroom).
- `places`, tried at random: `floor` (its back to a wall), `free` (anywhere on the floor),
  `wall:90` (on a wall, its foot at 90 cm), `ceiling` (hanging), or a class that it stands on
  (`tv-stand`).
- a part is `form x y z material`: a form of `object_shapes.FORMS` between two percentages of each
  axis (`*`: all of it), and one of several materials (`red/blue`), which parts share by its word.
"""

ROWS = """
book | 60 | 24 32 8 | bol | desk table bookshelf cabinet nightstand dresser end-table
  box * * 0-16 red/blue/green/brown/black; box 3-97 3-97 16-84 cream
  box * * 84-100 red/blue/green/brown/black
box | 56 | 42 34 30 | bolk | floor free cabinet bookshelf
  box * * * brown/beige; box 43-57 * 100-101 cream; box 43-57 100-101 60-100 cream
lamp | 52 | 30 30 50 | bol | nightstand desk table cabinet dresser end-table
  can 28-72 28-72 0-6 metal; can 45-55 45-55 6-60 metal; cone * * 50-100 cream/yellow/orange
pillow | 52 | 50 33 17 | bl | bed couch armchair
  cushion * * * fabric
keyboard | 50 | 48 20 6 | ol | desk table counter cabinet tv-stand
  box * * 0-55 black/white/grey; box 3-97 10-90 55-100 grey/black
trash can | 48 | 31 31 36 | bolkw | floor free
  cup * * * grey/black/white
plant | 46 | 46 46 90 | bolk | floor free
  cup 22-78 22-78 0-32 brown/white/beige; leaves * * 30-100 green
monitor | 44 | 58 20 46 | obl | desk table
  box * 45-62 28-100 black; box 43-57 40-58 0-50 black; box 25-75 10-90 0-4 grey
cushion | 44 | 40 34 20 | blo | couch chair armchair bench
  ball * * * red/orange/purple/yellow
backpack | 40 | 34 28 46 | bol | free floor bed
  cushion * 10-75 * blue/red/black/green; cushion 15-85 60-100 5-55 blue/red/black/green
stool | 38 | 36 36 50 | klo | free
  can * * 88-100 wood; legs 14-86 14-86 0-88 metal
bottle | 36 | 12 12 34 | klb | table counter desk cabinet end-table dishwasher mini-fridge cart
  can * * 0-62 green/brown; cone * * 62-78 green/brown; can 32-68 32-68 74-100 green/brown
shelf | 34 | 90 24 26 | bolk | wall:125
  box * * 86-100 wood; box 8-11 0-80 0-86 metal; box 89-92 0-80 0-86 metal
end table | 33 | 50 50 52 | blo | floor free
  can * * 93-100 wood; can 44-56 44-56 6-93 wood; can 20-80 20-80 0-6 wood
towel | 32 | 50 10 62 | wkb | wall:85
  box * 30-55 96-100 metal; box 4-96 15-70 0-97 fabric
office chair | 32 | 60 60 96 | obl | free
  can 8-92 8-92 0-6 black; can 45-55 45-55 6-42 metal; cushion 6-94 6-94 40-53 black/blue/grey
  cushion 10-90 2-16 56-100 black/blue/grey; box 2-8 25-75 60-65 black; box 92-98 25-75 60-65 black
clothes | 32 | 46 36 15 | bl | bed chair couch bench armchair free
  cushion 0-72 0-80 0-70 fabric; cushion 28-100 18-100 10-100 red/blue/grey/white
tv | 31 | 86 18 56 | lb | cabinet dresser table wall:95 tv-stand
  box * 45-70 8-100 black; box 30-70 15-95 0-5 black; box 46-54 45-65 0-12 black
mirror | 31 | 50 5 78 | wblo | wall:105
  box * 0-80 * wood; box 7-93 80-100 5-95 glass
laptop | 30 | 37 30 26 | obl | desk table bed couch tv-stand cabinet dresser
  box * 12-100 0-8 grey; box * 0-10 0-100 grey; box 4-96 10-12 14-96 black
printer | 28 | 46 42 30 | obl | desk table cabinet dresser file-cabinet tv-stand mini-fridge
  box * * 0-62 white/grey; box 8-92 8-80 62-100 grey/black; box 15-85 100-122 8-14 white/grey
computer tower | 26 | 20 46 45 | ob | free floor
  box * * * black; box 8-92 100-102 6-30 grey; box 8-92 100-102 70-92 silver
light | 25 | 42 42 62 | bolkw | ceiling
  can 48-52 48-52 40-100 black; cone * * 0-45 white/yellow
nightstand | 24 | 46 40 54 | bl | floor
  box * 0-95 8-100 wood; box 4-96 95-99 12-52 board; box 4-96 95-99 56-96 board
  box 42-58 99-104 30-34 metal; box 42-58 99-104 74-78 metal; legs * 0-95 0-8 wood
shoe | 24 | 28 31 13 | bl | free floor
  cushion 0-44 * 0-66 black/brown/white/red; cushion 56-100 * 0-66 black/brown/white/red
  cushion 4-40 0-45 0-100 black/brown/white/red; cushion 60-96 0-45 0-100 black/brown/white/red
radiator | 20 | 92 14 64 | bolw | floor
  box * 0-30 8-100 white/cream; box 2-14 30-100 4-96 white/cream; box 18-30 30-100 4-96 white/cream
  box 34-46 30-100 4-96 white/cream; box 54-66 30-100 4-96 white/cream
  box 70-82 30-100 4-96 white/cream; box 86-98 30-100 4-96 white/cream
microwave | 20 | 52 40 31 | ko | counter table cabinet dishwasher mini-fridge
  box * 0-94 * white/black/silver; box 4-72 94-100 8-92 black; box 76-96 94-98 8-92 grey
telephone | 20 | 26 28 15 | obk | desk table counter end-table cabinet nightstand tv-stand
  box * * 0-50 black/cream; cushion 0-32 6-94 45-100 black/cream; box 42-92 20-90 50-56 grey
basket | 20 | 42 32 26 | blw | free floor cabinet
  cup * * * beige; cup 6-94 6-94 4-70 brown
blanket | 20 | 72 56 11 | bl | bed couch armchair free
  cushion * * 0-70 fabric; cushion 0-60 10-90 20-100 fabric
bag | 20 | 40 18 36 | bol | free table chair
  cushion * * 0-78 black/brown/blue; rod 25-40 50-50 70-100 black; rod 60-75 50-50 100-70 black
  rod 40-60 50-50 100-100 black
storage bin | 20 | 52 38 32 | bok | floor free
  box 4-96 4-96 0-88 blue/white/green; box * * 84-100 grey/white
file cabinet | 18 | 42 58 72 | ob | floor
  box * 0-96 * grey/black; box 4-96 96-100 3-33 silver; box 4-96 96-100 35-65 silver
  box 4-96 96-100 67-97 silver; box 35-65 100-104 24-28 black; box 35-65 100-104 56-60 black
bench | 18 | 112 38 45 | lbko | floor free
  box * * 86-100 wood; box 6-12 8-92 0-86 wood; box 88-94 8-92 0-86 wood
ottoman | 18 | 62 50 42 | lbo | free
  cushion * * 14-100 fabric; legs 6-94 6-94 0-16 wood
bulletin board | 18 | 80 4 54 | okl | wall:120
  box * * * wood; box 4-96 100-105 5-95 orange; box 15-35 105-110 50-80 white
  box 50-72 105-110 25-60 yellow
fan | 18 | 44 36 112 | blo | free
  can 15-85 10-90 0-4 white; can 46-54 42-58 4-66 white; ball 0-100 40-62 60-100 white
  ball 30-70 30-70 70-90 grey
recycling bin | 18 | 40 38 64 | ok | floor free
  frustum * * 0-92 blue; box -3-103 -3-103 92-100 blue; box 30-70 102-104 50-75 white
coffee maker | 18 | 24 30 37 | ko | counter table cabinet dresser dishwasher mini-fridge
  box * * 0-12 black; box * 0-40 12-100 black; box * 0-92 76-100 black/silver
  can 20-80 45-92 12-52 brown
armchair | 16 | 84 80 86 | lbo | floor free
  cushion 14-86 20-100 18-48 fabric; cushion 8-92 0-28 20-100 fabric
  cushion 0-18 6-98 8-66 fabric; cushion 82-100 6-98 8-66 fabric; legs 8-92 8-92 0-18 wood
laundry basket | 16 | 46 46 60 | wb | floor free
  cup * * * white/pink; can 6-94 6-94 84-86 fabric
bucket | 16 | 32 32 31 | kw | free floor
  cup * * * red/blue/yellow; can 8-92 8-92 70-72 grey
toaster | 16 | 32 20 21 | k | counter table cabinet dishwasher mini-fridge cart
  cushion * * * silver; box 10-90 25-42 98-101 black; box 10-90 58-75 98-101 black
bowl | 16 | 32 32 14 | kl | table counter tv-stand dishwasher mini-fridge cart
  cup * * * red/blue/white; can 14-86 14-86 60-64 orange
dresser | 15 | 96 48 92 | bl | floor
  box * 0-96 8-97 board; box -1-101 -1-101 97-100 wood; box 2-49 96-100 12-52 wood
  box 51-98 96-100 12-52 wood; box 2-49 96-100 55-95 wood; box 51-98 96-100 55-95 wood
suitcase | 15 | 46 27 68 | bl | free floor
  cushion * * 4-80 red/blue/black/purple; rod 30-30 50-50 80-100 metal; rod 70-70 50-50 80-100 metal
  rod 30-70 50-50 100-100 metal; box 10-90 100-104 25-30 grey; box 10-90 100-104 55-60 grey
tv stand | 14 | 112 40 46 | lb | floor
  box * * 88-100 wood; box * * 8-20 wood; box 0-4 * 0-100 wood; box 96-100 * 0-100 wood
  box 4-96 0-6 20-88 black; box 48-52 * 20-88 wood
jacket | 14 | 52 16 82 | bo | wall:85
  cushion 12-88 * 0-100 blue/green/black/brown; cushion 0-24 10-80 14-92 blue/green/black/brown
  cushion 76-100 10-80 14-92 blue/green/black/brown
water cooler | 14 | 34 34 136 | ok | floor
  box * * 0-70 white; box 20-80 100-104 50-64 blue; cone 10-90 10-90 70-78 glass
  can 8-92 8-92 78-100 blue
decoration | 14 | 24 24 42 | lb | table cabinet dresser bookshelf tv-stand
  ball * * 0-60 ceramic; can 32-68 32-68 50-88 ceramic; cup 20-80 20-80 84-100 gold
dish rack | 14 | 48 36 24 | k | counter table cabinet stove dishwasher mini-fridge
  box * * 0-14 white; box 14-17 10-90 14-100 blue; box 34-37 10-90 14-100 green
  box 54-57 10-90 14-100 blue
  box 74-77 10-90 14-100 green
ladder | 13 | 48 14 176 | ok | floor
  box 0-8 20-60 * silver/orange; box 92-100 20-60 * silver/orange; box * 10-70 12-15 silver/orange
  box * 10-70 28-31 silver/orange; box * 10-70 44-47 silver/orange; box * 10-70 60-63 silver/orange
  box * 10-70 76-79 silver/orange; box * 10-70 92-95 silver/orange
bicycle | 13 | 164 42 98 | lobk | floor free
  ball 0-40 44-56 0-66 black; ball 60-100 44-56 0-66 black; ball 5-35 43-57 8-58 grey
  ball 65-95 43-57 8-58 grey
  rod 20-45 50-50 33-85 red; rod 20-52 50-50 33-30 red; rod 52-78 50-50 30-80 red
  rod 45-78 50-50 78-78 red
  cushion 36-52 38-62 85-93 black; rod 78-78 5-95 92-100 metal
stove | 12 | 60 60 92 | k | floor
  box * 0-96 0-96 white/silver; box 8-92 96-100 12-66 black; can 8-46 8-46 96-98 black
  can 54-92 8-46 96-98 black; can 8-46 54-92 96-98 black; can 54-92 54-92 96-98 black
  rod 12-88 104-104 74-74 metal; box * 0-8 96-104 white/silver
cart | 12 | 62 42 86 | okw | free
  box * * 90-95 silver; box * * 48-53 silver; box * * 10-15 silver; legs * * 0-100 silver
washing machine | 12 | 60 58 86 | wk | floor
  box * 0-96 * white; box 4-96 96-98 84-97 grey; ball 18-82 90-104 16-74 black
  ball 26-74 96-106 24-66 glass
mat | 12 | 78 52 3 | wkl | free
  box * * * fabric
person | 12 | 52 34 172 | olk | free
  cushion 12-46 20-80 0-50 blue/black; cushion 54-88 20-80 0-50 blue/black
  cushion 10-90 10-90 46-84 fabric
  cushion 0-16 25-75 42-82 fabric; cushion 84-100 25-75 42-82 fabric; ball 32-68 20-80 85-100 beige
range hood | 12 | 62 46 56 | k | wall:165
  frustum * * 0-34 silver; box 32-68 0-50 30-100 silver
vacuum cleaner | 12 | 32 38 112 | bl | free floor
  cushion 0-100 30-100 0-22 red/blue; cushion 18-82 8-62 14-74 red/blue; rod 50-50 22-4 70-100 black
poster | 12 | 50 2 70 | bol | wall:110
  box * * 50-100 red/blue/purple; box * * 0-50 yellow/white/orange
clock | 12 | 36 8 36 | okl | wall:165
  ball * 0-90 * black; ball 8-92 50-110 8-92 white
speaker | 12 | 26 28 56 | lo | free floor cabinet desk tv-stand
  box * * * black; ball 20-80 94-103 8-42 silver; ball 26-74 94-103 54-82 silver
ball | 12 | 30 30 30 | blo | free
  ball * * * orange/red/green
dishwasher | 11 | 60 58 85 | k | floor
  box * 0-96 0-100 silver/white; box 2-98 96-100 12-82 silver/white; box * 96-99 84-98 black
  rod 10-90 106-106 78-78 metal
coat rack | 11 | 52 52 172 | blo | free floor
  can 10-90 10-90 0-3 wood; can 46-54 46-54 3-100 wood; rod 10-90 50-50 92-92 wood
  rod 50-50 10-90 96-96 wood
  cone 22-78 28-72 38-90 fabric
mini fridge | 11 | 48 48 62 | okb | floor
  box * 0-94 * black; box 1-99 94-100 3-98 red/black/silver; box 85-90 100-106 50-90 silver
stuffed animal | 11 | 32 26 38 | b | bed couch nightstand dresser end-table
  ball 10-90 10-90 0-62 brown/pink; ball 22-78 20-90 52-92 brown/pink
  ball 14-36 30-60 82-100 brown/pink
  ball 64-86 30-60 82-100 brown/pink; ball 0-24 40-100 24-48 brown/pink
  ball 76-100 40-100 24-48 brown/pink
divider | 8 | 150 40 162 | olb | free
  box 0-34 0-8 * cream; box 34-37 0-92 * cream; box 37-66 84-92 * cream; box 66-69 0-92 * cream
  box 69-100 0-8 * cream
fireplace | 8 | 104 30 98 | lb | floor
  box * 0-90 90-100 stone; box 0-22 0-80 0-90 stone; box 78-100 0-80 0-90 stone
  box 22-78 0-80 66-90 stone
  box 22-78 0-20 0-66 black; box -3-103 0-100 96-100 wood
piano | 8 | 136 50 112 | lb | floor
  box * 0-58 * black; box * 58-100 50-60 black; box 3-97 62-98 60-62 white
  box 0-5 60-100 0-50 black
  box 95-100 60-100 0-50 black
copier | 8 | 64 62 108 | ok | floor
  box * * 8-76 cream; box 4-96 8-92 76-92 grey; box 0-100 0-90 92-100 cream
  box 64-130 20-80 56-60 grey
  box 8-92 100-102 14-40 grey; box 8-92 100-102 44-70 grey
tissue box | 8 | 27 16 12 | blow | table nightstand desk cabinet counter end-table
  box * * 0-80 blue/pink/green; cushion 30-70 25-75 75-130 white
guitar | 8 | 40 16 104 | lb | floor
  ball * 0-90 0-34 orange; ball 10-90 0-90 24-54 orange; box 44-56 40-60 50-92 black
  box 38-62 40-60 90-100 black
fire extinguisher | 8 | 19 19 54 | okw | floor wall:60
  can * * 0-78 red; cone * * 78-88 red; box 30-100 40-60 86-100 black
storage container | 8 | 40 30 22 | kb | table counter cabinet free file-cabinet
  box 3-97 3-97 0-84 glass; box * * 80-100 blue/red
coffee kettle | 8 | 26 22 27 | k | counter table stove dishwasher mini-fridge cart
  cone 0-84 * 0-78 silver; ball 26-58 30-70 70-96 black; rod 82-100 50-50 20-66 silver
  rod 10-74 50-50 96-96 black
crate | 7 | 46 34 31 | bok | floor free
  box * 0-6 12-30 wood; box * 0-6 42-62 wood; box * 0-6 76-96 wood; box * 94-100 12-30 wood
  box * 94-100 42-62 wood; box * 94-100 76-96 wood; box 0-4 * 10-96 wood; box 96-100 * 10-96 wood
  box * * 0-8 wood
projector | 7 | 38 30 15 | o | table desk cabinet file-cabinet
  box * * * white; ball 58-92 92-108 15-85 black; box 10-50 100-102 30-70 grey
toaster oven | 7 | 46 36 27 | k | counter table cabinet dishwasher mini-fridge cart
  box * 0-94 * red/black; box 4-74 94-100 10-88 glass; ball 80-96 90-104 60-90 silver
  ball 80-96 90-104 12-42 silver
paper towel roll | 7 | 15 15 32 | kw | counter table cabinet dresser dishwasher mini-fridge cart
  can * * 0-4 wood; can 6-94 6-94 4-88 white; can 42-58 42-58 88-100 wood
water bottle | 7 | 15 15 36 | ob | desk table nightstand file-cabinet
  can * * 0-78 silver/purple; can 20-80 20-80 78-100 black
purse | 7 | 36 17 30 | bl | table bed chair bench
  frustum * * 0-66 red/pink; rod 20-35 50-50 66-100 gold; rod 65-80 50-50 100-66 gold
  rod 35-65 50-50 100-100 gold
paper bag | 7 | 32 18 42 | ko | free table
  frustum * * * beige; box 10-90 101-103 30-60 green
broom | 6 | 38 14 136 | kw | floor
  box * 10-90 0-18 yellow; box 10-90 25-75 18-24 wood; rod 50-50 50-50 24-100 wood
hat | 6 | 40 40 18 | bl | table bed dresser couch end-table chair
  can * * 0-14 brown/black; cone 20-80 20-80 14-100 brown/black
tray | 6 | 40 28 6 | kl | table counter tv-stand cabinet dishwasher mini-fridge stool end-table
  box * * 0-35 wood; box 0-4 * 35-100 wood; box 96-100 * 35-100 wood; box * 0-5 35-100 wood
  box * 95-100 35-100 wood
sign | 6 | 48 4 32 | ok | wall:150
  box * * * yellow; box 10-90 100-110 55-75 black; box 10-90 100-110 25-40 black
water pitcher | 6 | 23 18 31 | k | table counter dishwasher mini-fridge cart
  cone 0-80 * * blue; rod 78-100 50-50 80-80 blue; rod 100-100 50-50 30-80 blue
  rod 78-100 50-50 30-30 blue
laundry detergent | 6 | 24 15 32 | w | floor free cabinet
  cushion * * 0-76 orange/purple; can 20-60 20-80 74-100 blue
case of water bottles | 6 | 42 28 27 | kw | floor free
  box * * 0-14 white; can 2-32 4-48 14-86 blue; can 35-65 4-48 14-86 blue; can 68-98 4-48 14-86 blue
  can 2-32 52-96 14-86 blue; can 35-65 52-96 14-86 blue; can 68-98 52-96 14-86 blue
calendar | 6 | 36 3 50 | ok | wall:125
  box * * 0-50 white; box * * 50-100 green/orange; box 8-92 100-110 8-12 black
  box 8-92 100-110 24-28 black
vent | 6 | 62 5 34 | ow | wall:195
  box * 0-50 * silver; box 5-95 50-100 10-20 grey; box 5-95 50-100 32-42 grey
  box 5-95 50-100 54-64 grey
  box 5-95 50-100 76-86 grey
handicap bar | 6 | 84 9 9 | w | wall:80
  box * 40-95 20-80 silver; box 0-8 0-60 0-100 silver; box 92-100 0-60 0-100 silver
ironing board | 5 | 126 38 88 | bw | free floor
  cushion * * 94-100 blue/pink; rod 20-80 20-20 0-94 metal; rod 80-20 80-80 0-94 metal
  rod 20-20 10-90 1-1 metal
  rod 80-80 10-90 1-1 metal
scale | 5 | 42 40 8 | w | free floor
  box * * * black; box 30-70 65-90 100-108 white
paper cutter | 5 | 48 38 7 | o | desk table cabinet file-cabinet
  box * * 0-50 green; box 0-6 * 50-100 black; rod 97-97 0-110 70-110 black
  box 8-92 8-12 50-60 yellow
alarm clock | 5 | 24 13 17 | b | nightstand dresser end-table desk cabinet
  box * 0-90 * red; box 8-92 90-100 20-84 black
plunger | 5 | 19 19 56 | w | free
  cone * * 0-28 orange; can 42-58 42-58 26-100 wood
soap dispenser | 5 | 18 16 32 | w | wall:105 counter
  box * * 20-100 white; box 20-80 20-110 0-20 blue
candle | 5 | 18 18 30 | lb | table nightstand dresser end-table
  can * * 0-10 gold; can 12-88 12-88 10-100 red/purple
toilet paper dispenser | 5 | 31 15 31 | w | wall:75
  ball * 0-170 * grey; box 0-100 0-70 0-50 grey
mattress | 4 | 78 22 165 | bl | floor
  cushion * * * white; box 2-98 98-102 30-34 blue; box 2-98 98-102 66-70 blue
dumbbell | 4 | 44 20 20 | bl | free
  ball 0-36 * * black; ball 64-100 * * black; rod 20-80 50-50 50-50 metal
music stand | 4 | 52 38 126 | l | free
  rod 50-50 50-50 10-84 black; rod 50-10 50-10 12-1 black; rod 50-90 50-10 12-1 black
  rod 50-50 50-100 12-1 black
  box * 44-56 74-100 black; box 8-92 56-64 78-98 white
keyboard piano | 4 | 132 34 84 | lbo | floor free
  box * * 88-100 black; box 4-96 30-96 100-101 white; rod 15-85 50-50 0-88 metal
  rod 85-15 50-50 0-88 metal
  rod 15-15 0-100 1-1 metal; rod 85-85 0-100 1-1 metal
projector screen | 4 | 140 8 104 | ol | wall:92
  box * * 95-100 black; box 2-98 40-60 0-95 black; box 5-95 60-70 4-94 white
guitar case | 3 | 42 20 116 | lb | floor
  cushion * * 0-40 black; cushion 12-88 5-95 28-62 black; box 36-64 15-85 55-100 black
folded chair | 3 | 46 16 94 | obl | floor
  box * 20-45 60-100 blue/grey; box 4-96 45-70 20-58 blue/grey; box 0-5 20-60 * metal
  box 95-100 20-60 * metal
mailbox | 3 | 72 30 112 | ok | floor
  box * 0-94 * silver; box 3-33 94-100 4-32 grey; box 35-65 94-100 4-32 grey
  box 67-97 94-100 4-32 grey
  box 3-33 94-100 36-64 grey; box 35-65 94-100 36-64 grey; box 67-97 94-100 36-64 grey
  box 3-33 94-100 68-96 grey; box 35-65 94-100 68-96 grey; box 67-97 94-100 68-96 grey
blackboard | 3 | 130 5 90 | ol | wall:85
  box * * * wood; box 3-97 100-106 4-96 darkgreen; box 20-80 100-220 -2-2 wood
bar | 3 | 90 42 110 | lk | floor free
  box 4-96 10-90 0-94 darkgreen; box * * 94-100 wood; rod 4-96 100-100 20-20 gold
tube | 2 | 16 16 118 | o | floor free
  can * * * white/beige; can 4-96 4-96 100-101 black
"""
